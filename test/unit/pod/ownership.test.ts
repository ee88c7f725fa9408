import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stopOf } from '../../../pod/docker/labels.ts';
import { isOurs, isOwnVolume } from '../../../pod/docker/ownership.ts';
import { parseKey, parseUid } from '../../../pod/manifest/key.ts';
import { recordedOf } from '../../../pod/plan/recorded.ts';
import { attached, known, uid } from './builders.ts';

describe('pod key', () => {
  for (const text of ['default_web', 'a_b.c.d', 'kube-system_x-1']) {
    it(`${text}: accepted`, () => assert.equal(parseKey(text), text));
  }
  const refused: unknown[] = [
    ...[
      '../../../important',
      'default_../web',
      'default_web/..',
      '/etc/passwd',
      'default_web\0',
      'default_web\n',
    ],
    ...[
      '',
      '_',
      'web',
      'default_',
      '_web',
      'a_b_c',
      'Default_web',
      'default_web.json.',
      'default_-web',
      '.._..',
    ],
    ...['ns.x_web', 'default_wéb', `default_${'a.'.repeat(120)}a`, undefined, null, 7, ['default_web'], {}],
  ];
  for (const text of refused) {
    it(`${JSON.stringify(text)?.slice(0, 40)}: refused`, () => assert.equal(parseKey(text), undefined));
  }
});

describe('pod uid', () => {
  it('a UUID: accepted', () => assert.equal(parseUid(uid), uid));
  for (const text of ['', 'u', '..', `${uid}/..`, uid.toUpperCase(), ` ${uid}`]) {
    it(`${JSON.stringify(text)}: refused`, () => assert.equal(parseUid(text), undefined));
  }
});

describe('owner of a container', () => {
  const key = parseKey('default_web');
  if (!key) throw new Error('no key');
  const recorded = recordedOf(key, uid, attached({ containers: { a: known('a', { id: 'id-1' }) } }));
  const labels = {
    'weft.pod': 'default_web',
    'weft.uid': uid,
    'weft.role': 'app',
    'weft.container': 'a',
    'weft.attempt': '0',
  };
  const names = [`/weft_default_web_a_0_${uid.slice(0, 8)}`];
  const cases: Record<string, { of: Partial<Parameters<typeof isOurs>[0]>; ours: boolean }> = {
    'uid and name are recorded': { of: {}, ours: true },
    'uid and id are recorded, the container was renamed': {
      of: { id: 'id-1', names: ['/renamed'] },
      ours: true,
    },
    'sandbox, by its id': { of: { id: 'sandbox-1', names: ['/x'] }, ours: true },
    'sandbox, by its name': {
      of: { labels: { ...labels, 'weft.role': 'sandbox' }, names: ['/weft_default_web_POD_0a1b2c3d'] },
      ours: true,
    },
    'labels copied, another name': { of: { names: ['/other'] }, ours: false },
    'sandbox labels copied, another name': {
      of: { labels: { ...labels, 'weft.role': 'sandbox' }, names: ['/weft_default_web_POD_x/..'] },
      ours: false,
    },
    'another uid': {
      of: { labels: { ...labels, 'weft.uid': '00000000-0000-4000-8000-000000000000' } },
      ours: false,
    },
    'another uid, the recorded id': {
      of: { id: 'id-1', labels: { ...labels, 'weft.uid': 'x' } },
      ours: false,
    },
    'no uid': { of: { labels: { 'weft.pod': 'default_web', 'weft.role': 'app' } }, ours: false },
    'another pod': { of: { labels: { ...labels, 'weft.pod': '../../web' } }, ours: false },
    'attempt is not a number': {
      of: { labels: { ...labels, 'weft.attempt': '1e3' }, names: ['/x'] },
      ours: false,
    },
  };
  for (const [what, { of, ours }] of Object.entries(cases)) {
    it(`${what}: ${ours ? 'of the pod' : 'foreign'}`, () =>
      assert.equal(isOurs({ id: 'id-9', names, labels, ...of }, recorded), ours));
  }

  it('nothing recorded: every container is foreign', () => {
    assert.equal(isOurs({ id: 'id-1', names, labels }, recordedOf(key, undefined, undefined)), false);
    const empty = { ...labels, 'weft.uid': '' };
    assert.equal(isOurs({ id: 'id-1', names, labels: empty }, recordedOf(key, '', undefined)), false);
  });

  it('volume with the label and another name: foreign', () => {
    assert.equal(isOwnVolume(`weft_${uid}_data`, uid), true);
    assert.equal(isOwnVolume('precious', uid), false);
  });
});

describe('label weft.stop', () => {
  const byDefault = { graceSeconds: 30, preStop: undefined, stage: 0 };
  const cases: Record<string, { text: string; is: object }> = {
    'not JSON': { text: '{', is: byDefault },
    absent: { text: '', is: byDefault },
    null: { text: 'null', is: byDefault },
    'grace is negative': { text: '{"graceSeconds":-1}', is: byDefault },
    'hook of an unknown kind': { text: '{"graceSeconds":3,"preStop":{"kind":"fork"}}', is: byDefault },
    'hook without a command': { text: '{"preStop":{"kind":"exec","command":[]}}', is: byDefault },
    'hook of an exec': {
      text: '{"graceSeconds":3,"preStop":{"kind":"exec","command":["x"]}}',
      is: { graceSeconds: 3, preStop: { kind: 'exec', command: ['x'] }, stage: 0 },
    },
  };
  for (const [what, { text, is }] of Object.entries(cases)) {
    it(`${what}: read as ${JSON.stringify(is)}`, () => assert.deepEqual(stopOf({ 'weft.stop': text }), is));
  }
});
