/** Verbs, environment, stdin and versions: what is decided before a verb's work begins. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CniError } from '../../../plugin/errors.ts';
import { answer } from '../../../plugin/protocol/answer.ts';
import { cniVersions } from '../../../plugin/protocol/version.ts';
import { assertRefused, type Invocation, invoke, netns, plugin, type Refusal } from './plugin.ts';

const prevResult = { interfaces: [{ name: 'eth0', sandbox: netns }], ips: [{ address: '10.1.0.5/24' }] };

describe('a verb', () => {
  const accepted: [verb: string, expected: string, config: Record<string, unknown>][] = [
    ['ADD', 'add', {}],
    ['DEL', 'del', {}],
    ['CHECK', 'check', { prevResult }],
    ['GC', 'gc', { 'cni.dev/valid-attachments': [] }],
    ['STATUS', 'status', {}],
  ];
  for (const [verb, expected, config] of accepted) {
    it(`${verb} reaches its implementation, once`, async () => {
      const outcome = await invoke({ verb, config });
      assert.equal(outcome.status, 0, outcome.stdout);
      assert.deepEqual(
        outcome.calls.map((call) => call.verb),
        [expected],
      );
    });
  }
  for (const [verb, , config] of accepted.slice(1)) {
    it(`${verb} answers nothing on stdout`, async () => {
      assert.equal((await invoke({ verb, config })).stdout, '');
    });
  }
  for (const verb of ['add', 'UPDATE', ' ADD', 'constructor', '__proto__']) {
    it(`${JSON.stringify(verb)} is unknown`, async () => {
      assertRefused(await invoke({ verb }), { code: 4, msg: `unknown CNI_COMMAND: ${verb}` });
    });
  }
  for (const env of [{ CNI_COMMAND: null }, { CNI_COMMAND: '' }]) {
    it(`that is ${env.CNI_COMMAND === null ? 'absent' : 'empty'} prints what this is on stderr`, async () => {
      const outcome = await invoke({ verb: 'ADD', env });
      assert.deepEqual([outcome.status, outcome.stdout, outcome.calls], [0, '', []]);
      assert.match(outcome.stderr, /CNI protocol versions supported: 0\.1\.0, .*1\.1\.0/);
    });
  }
});

describe('VERSION', () => {
  it('needs neither stdin nor any other variable', async () => {
    const { output, status } = await invoke({ verb: 'VERSION', stdin: '' });
    assert.equal(status, 0);
    assert.deepEqual(output, { cniVersion: '1.1.0', supportedVersions: [...cniVersions] });
  });
  for (const version of cniVersions) {
    it(`answers in ${version} if asked in it`, async () => {
      const { output } = await invoke({ verb: 'VERSION', stdin: JSON.stringify({ cniVersion: version }) });
      assert.equal(output?.cniVersion, version);
    });
  }
  for (const stdin of ['garbage', '[]', '{"cniVersion":"7.0.0"}', '{"cniVersion":7}']) {
    it(`answers in the newest to ${stdin}`, async () => {
      assert.equal((await invoke({ verb: 'VERSION', stdin })).output?.cniVersion, '1.1.0');
    });
  }
  it("takes libcni's dummies", async () => {
    const env = { CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy' };
    assert.equal((await invoke({ verb: 'VERSION', env, stdin: '{"cniVersion":"1.1.0"}' })).status, 0);
  });
});

describe('a variable', () => {
  const required: [verb: string, names: string[]][] = [
    ['ADD', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
    ['CHECK', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
    ['DEL', ['CNI_CONTAINERID', 'CNI_IFNAME']],
    ['GC', []],
    ['STATUS', []],
  ];
  for (const [verb, names] of required) {
    for (const name of names) {
      it(`${name} is required by ${verb}, empty or absent`, async () => {
        for (const value of [null, '']) {
          const msg = `required env variables [${name}] missing`;
          assertRefused(await invoke({ verb, env: { [name]: value } }), { code: 4, msg });
        }
      });
    }
    it(`of ${verb}: everything that is missing is reported at once`, async () => {
      const env = Object.fromEntries(names.map((name) => [name, null]));
      const outcome = await invoke({ verb, env: { ...env, CNI_PATH: null } });
      if (names.length > 0) {
        assertRefused(outcome, { code: 4, msg: `required env variables [${names.join(',')}] missing` });
      }
    });
    it(`CNI_PATH is not required by ${verb}`, async () => {
      const config = { prevResult, 'cni.dev/valid-attachments': [] };
      assert.equal((await invoke({ verb, env: { CNI_PATH: null }, config })).status, 0);
    });
  }

  const bad: [env: Record<string, string>, expected: Refusal][] = [
    [
      { CNI_CONTAINERID: '1234%%%' },
      { code: 4, msg: 'invalid characters in containerID', details: '1234%%%' },
    ],
    [{ CNI_CONTAINERID: '-x' }, { code: 4, msg: 'invalid characters in containerID' }],
    [{ CNI_CONTAINERID: '../x' }, { code: 4, msg: 'invalid characters in containerID' }],
    [{ CNI_CONTAINERID: 'x\n' }, { code: 4, msg: 'invalid characters in containerID' }],
    [{ CNI_IFNAME: '1234567890123456' }, { code: 4, msg: 'interface name is too long' }],
    [{ CNI_IFNAME: 'ééééééééx' }, { code: 4, msg: 'interface name is too long' }],
    [{ CNI_IFNAME: '.' }, { code: 4, msg: 'interface name is . or ..' }],
    [{ CNI_IFNAME: 'à0' }, { code: 4, msg: 'interface name contains / or : or whitespace characters' }],
    [
      { CNI_IFNAME: 'eth%d' },
      { code: 4, msg: 'interface name contains %, by which the kernel numbers interfaces' },
    ],
    [
      { CNI_IFNAME: 'all' },
      { code: 4, msg: 'interface name all is what the kernel calls all of them in /proc/sys/net' },
    ],
    [{ CNI_IFNAME: '..' }, { code: 4, msg: 'interface name is . or ..' }],
    ...['a/b', 'a:b', 'a b', 'a\tb', 'a\nb', 'a\u00a0b', 'a\u0085b'].map(
      (name): [Record<string, string>, Refusal] => [
        { CNI_IFNAME: name },
        { code: 4, msg: 'interface name contains / or : or whitespace characters' },
      ],
    ),
  ];
  for (const [env, expected] of bad) {
    for (const verb of ['ADD', 'DEL', 'CHECK']) {
      it(`${JSON.stringify(env)} is refused by ${verb}`, async () => {
        const outcome = await invoke({ verb, env });
        assertRefused(outcome, expected);
        assert.deepEqual(outcome.calls, []);
      });
    }
    for (const verb of ['GC', 'STATUS']) {
      it(`${JSON.stringify(env)} is none of ${verb}'s business`, async () => {
        const config = { 'cni.dev/valid-attachments': [] };
        assert.equal((await invoke({ verb, env, config })).status, 0);
      });
    }
  }

  it('may hold an id of any length and an interface name of 15 bytes', async () => {
    const env = { CNI_CONTAINERID: 'a'.repeat(4096), CNI_IFNAME: 'a'.repeat(15) };
    assert.equal((await invoke({ verb: 'ADD', env })).status, 0);
  });
  for (const [value, expected] of [
    ['1', true],
    ['TRUE', true],
    ['0', false],
    ['yes', false],
  ] as const) {
    it(`CNI_NETNS_OVERRIDE=${value} is ${expected}`, async () => {
      const [call] = (await invoke({ verb: 'ADD', env: { CNI_NETNS_OVERRIDE: value } })).calls;
      assert.ok(call?.verb === 'add');
      assert.equal(call.request.netnsOverride, expected);
    });
  }
  it('with the trace context reaches every verb', async () => {
    const env = { TRACEPARENT: '00-1-2-01', BAGGAGE: 'k=v' };
    const config = { prevResult, 'cni.dev/valid-attachments': [] };
    for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
      const [call] = (await invoke({ verb, env, config })).calls;
      assert.deepEqual(call?.request.trace, { traceparent: '00-1-2-01', baggage: 'k=v' });
    }
  });
});

describe('stdin', () => {
  const cases: [what: string, stdin: string | Uint8Array, expected: Refusal][] = [
    ['nothing', '', { code: 6 }],
    ['no JSON', '{{{', { code: 6 }],
    ['half of it', '{"name":"ne', { code: 6 }],
    ['a byte order mark', '\ufeff{"name":"net"}', { code: 6 }],
    ['what can be read but not written', `{"name":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, { code: 6 }],
    ['bytes', Uint8Array.from({ length: 256 }, (_, i) => i), { code: 6 }],
    ['a list', '[]', { code: 6 }],
    ['null', 'null', { code: 6 }],
    ['very deep', '['.repeat(200_000), { code: 6 }],
    ['no name', '{"cniVersion":"1.0.0"}', { code: 7, msg: 'missing network name' }],
    ['an empty name', '{"name":""}', { code: 7, msg: 'missing network name' }],
    ['a number for a name', '{"name":5}', { code: 6, msg: /name must be a string, not 5/ }],
    [
      'a bad name',
      '{"name":"n%"}',
      { code: 7, msg: 'invalid characters found in network name', details: 'n%' },
    ],
    ['a version that is a number', '{"name":"net","cniVersion":1}', { code: 6, msg: /cniVersion/ }],
  ];
  for (const [what, stdin, expected] of cases) {
    for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
      it(`with ${what} is refused by ${verb}`, async () => {
        const outcome = await invoke({ verb, stdin });
        assertRefused(outcome, expected);
        assert.deepEqual(outcome.calls, []);
      });
    }
  }
  it('may spell its keys in any case, and hold keys that nobody knows', async () => {
    const stdin = '{"CNIVERSION":"0.4.0","Name":"net","future":{"x":[1]},"__proto__":{"name":"%"}}';
    const { output, status } = await invoke({ verb: 'ADD', stdin });
    assert.equal(status, 0);
    assert.equal(output?.cniVersion, '0.4.0');
  });
});

describe('the version', () => {
  const since: Record<string, string> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };
  for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
    for (const cniVersion of cniVersions) {
      const exists = cniVersion >= (since[verb] ?? '');
      it(`${cniVersion} ${exists ? 'has' : 'has no'} ${verb}`, async () => {
        const config = { cniVersion, prevResult, 'cni.dev/valid-attachments': [] };
        const outcome = await invoke({ verb, config });
        if (exists) assert.equal(outcome.status, 0, outcome.stdout);
        else assertRefused(outcome, { code: 1, msg: `config version does not allow ${verb}` });
      });
    }
    for (const cniVersion of ['9.9.9', '0.9.0', '1.0', '1.1.1']) {
      it(`${cniVersion} is none that ${verb} is spoken in`, async () => {
        assertRefused(await invoke({ verb, config: { cniVersion } }), {
          code: 1,
          msg: 'incompatible CNI versions',
          details: /config is "[\d.]+", plugin supports \["0\.1\.0",/,
        });
      });
    }
    it(`that is no version at all is refused by ${verb}`, async () => {
      const outcome = await invoke({ verb, config: { cniVersion: 'bad version' } });
      assertRefused(outcome, { code: verb in since ? 6 : 1 });
    });
  }
  for (const cniVersion of ['', undefined, null]) {
    it(`${JSON.stringify(cniVersion)} means 0.1.0, in the result too`, async () => {
      const { output } = await invoke({ verb: 'ADD', config: { cniVersion } });
      assert.equal(output?.cniVersion, '0.1.0');
      assert.ok(output.ip4);
    });
  }
});

describe('a failure', () => {
  const attempt: Omit<Invocation, 'failure'> = { verb: 'ADD', config: { cniVersion: '0.4.0' } };

  it('of our own keeps its code, text and details, and says in which version it speaks', async () => {
    const failure = new CniError('try-again-later', 'no lease is held', 'the store is away');
    const { output } = await invoke({ ...attempt, failure });
    assert.deepEqual(output, {
      cniVersion: '0.4.0',
      code: 11,
      msg: 'no lease is held',
      details: 'the store is away',
    });
  });
  const others: [what: string, failure: unknown, msg: string][] = [
    ['an error', new TypeError('x is not a function'), 'x is not a function'],
    ['an error without a text', new RangeError(''), 'RangeError'],
    ['a string', 'out of luck', 'out of luck'],
    ['an object that cannot be printed', Object.create(null), 'unknown error'],
    ['a number', 0, 'unknown error'],
  ];
  for (const [what, failure, msg] of others) {
    for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
      it(`of ${verb} that is ${what} is code 999, without a stack`, async () => {
        const config = { prevResult, 'cni.dev/valid-attachments': [] };
        assertRefused(await invoke({ verb, config, failure }), { code: 999, msg });
      });
    }
  }
  it('speaks the newest version where the version cannot be told', async () => {
    for (const stdin of ['{', '{"cniVersion":"9.9.9","name":"net"}']) {
      assert.equal((await invoke({ verb: 'ADD', stdin })).output?.cniVersion, '1.1.0');
    }
  });
  it('is answered even where verbs throw at once instead of rejecting', async () => {
    const { verbs } = plugin();
    const broken = {
      ...verbs,
      status: (): Promise<void> => {
        throw new Error('at once');
      },
    };
    const stdin = Buffer.from('{"cniVersion":"1.1.0","name":"net"}');
    const answered = await answer({ env: { CNI_COMMAND: 'STATUS' }, stdin }, broken);
    assert.match(answered.stdout, /"code":999,"msg":"at once"/);
  });
});
