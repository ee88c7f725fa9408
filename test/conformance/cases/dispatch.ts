/** Verbs, environment, stdin and versions. */
import assert from 'node:assert/strict';
import { type CniVersion, cniVersions } from '../../../plugin/protocol/version.ts';
import { before, type Case, since } from '../case.ts';
import { parsed, type Refusal, resultOf, type Variables } from '../trial.ts';

const missing: [verb: string, names: string[], versions: readonly CniVersion[]][] = [
  ['ADD', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'], cniVersions],
  ['CHECK', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'], since('0.4.0')],
  ['DEL', ['CNI_CONTAINERID', 'CNI_IFNAME'], cniVersions],
];

const badVariables: [id: string, env: Variables, refusal: Refusal][] = [
  ['E7', { CNI_CONTAINERID: 'a%b' }, { code: 4, msg: /invalid characters in containerID/ }],
  ['E8', { CNI_IFNAME: 'x'.repeat(16) }, { code: 4, msg: /interface name is too long/ }],
  ['E8', { CNI_IFNAME: '..' }, { code: 4, msg: /interface name is \. or \.\./ }],
  ['E8', { CNI_IFNAME: 'a/b' }, { code: 4, msg: /contains \/ or : or whitespace/ }],
];

const badStdin: [what: string, stdin: string, refusal: Refusal][] = [
  ['no JSON', '{"name":', { code: 6 }],
  ['nothing', '', { code: 6 }],
  ['no name', '{"cniVersion":"1.0.0","type":"x"}', { code: 7, msg: /missing network name/ }],
  [
    'a bad name',
    '{"cniVersion":"1.0.0","name":"a b"}',
    { code: 7, msg: /invalid characters found in network name/ },
  ],
];

export const dispatchCases: readonly Case[] = [
  {
    id: 'E1',
    title: 'a verb that does not exist is refused',
    run: (trial) => trial.refuses('UPDATE', { code: 4, msg: /unknown CNI_COMMAND: UPDATE/ }),
  },
  {
    id: 'E2',
    title: 'without a verb it says on stderr what it is',
    versions: ['1.0.0'],
    run: async (trial) => {
      const exit = await trial.call('', { env: { CNI_COMMAND: null } });
      assert.deepEqual([exit.status, exit.stdout], [0, '']);
      assert.match(exit.stderr, /CNI protocol versions supported: /);
    },
  },
  ...missing.map(
    ([verb, names, versions]): Case => ({
      id: 'E5',
      title: `${verb} reports all missing variables at once`,
      versions,
      run: async (trial) => {
        const env = Object.fromEntries(names.map((name) => [name, null]));
        const msg = new RegExp(`required env variables \\[${names.join(',')}\\] missing`);
        await trial.refuses(verb, { code: 4, msg }, { env });
      },
    }),
  ),
  ...badVariables.map(
    ([id, env, refusal]): Case => ({
      id,
      title: `${JSON.stringify(env)} is refused`,
      run: async (trial) => {
        await trial.pod();
        await trial.refuses('ADD', refusal, { env });
        await trial.refuses('DEL', refusal, { env });
      },
    }),
  ),
  {
    id: 'E9',
    title: 'GC does not look at variables that it does not need',
    versions: since('1.1.0'),
    oursAlone: true,
    run: (trial) =>
      trial.succeeds('GC', {
        env: { CNI_CONTAINERID: '%', CNI_IFNAME: '..' },
        config: { 'cni.dev/valid-attachments': [] },
      }),
  },
  {
    id: 'E10',
    title: "the plugin's own namespace is no pod's",
    differs: 'compares after its work is done, and 1.1.1 not at all',
    run: (trial) => trial.refuses('ADD', { code: 8 }, { env: { CNI_NETNS: '/proc/self/ns/net' } }),
  },
  {
    id: 'E11',
    title: 'a namespace that does not exist, or is a plain file, fails ADD and leaves nothing',
    run: async (trial) => {
      const before = await trial.hostState();
      await trial.ground.must('touch', '/run/trial/file');
      for (const path of ['/run/netns/absent', '/run/trial/file']) {
        await trial.refuses('ADD', { code: 8 }, { env: { CNI_NETNS: path } });
      }
      if (!trial.isReference) assert.equal(await trial.hostState(), before);
    },
  },
  ...badStdin.map(
    ([what, stdin, refusal]): Case => ({
      id: 'E12',
      title: `${what} on stdin is refused`,
      versions: ['1.0.0'],
      run: async (trial) => {
        await trial.refuses('ADD', refusal, { stdin });
        await trial.refuses('DEL', refusal, { stdin });
      },
    }),
  ),
  {
    id: 'E13',
    title: 'no version means 0.1.0',
    versions: ['0.1.0'],
    run: async (trial) => {
      await trial.pod();
      const result = await trial.add({ config: { cniVersion: undefined } });
      assert.ok('ip4' in result);
      assert.equal(result.cniVersion, '0.1.0');
    },
  },
  {
    id: 'E14',
    title: 'a version that does not exist is refused',
    versions: ['1.0.0'],
    run: async (trial) => {
      for (const verb of ['ADD', 'DEL']) {
        const refusal = { code: 1, msg: /incompatible CNI versions.*config is \\?"9\.9\.9/ };
        await trial.refuses(verb, refusal, { config: { cniVersion: '9.9.9' } });
      }
    },
  },
  {
    id: 'E15',
    title: 'CHECK in what is no version is undecodable',
    versions: ['1.0.0'],
    run: (trial) => trial.refuses('CHECK', { code: 6 }, { config: { cniVersion: 'bad version' } }),
  },
  {
    id: 'E16',
    title: 'CHECK does not exist yet',
    versions: before('0.4.0'),
    run: (trial) => trial.refuses('CHECK', { code: 1, msg: /config version does not allow CHECK/ }),
  },
  ...['GC', 'STATUS'].map(
    (verb): Case => ({
      id: 'E16',
      title: `${verb} does not exist yet`,
      versions: before('1.1.0'),
      oursAlone: true,
      run: (trial) =>
        trial.refuses(verb, { code: 1, msg: new RegExp(`config version does not allow ${verb}`) }),
    }),
  ),
  {
    id: 'E18',
    title: 'keys are found in any case, and those that nobody knows are ignored',
    run: async (trial) => {
      await trial.pod();
      const config = { bridge: undefined, BRIDGE: 'shout0', IsGateway: true, futureOption: { deep: [1] } };
      await trial.add({ config });
      assert.ok(await trial.link('shout0'));
    },
  },
  {
    id: '1.2',
    title: 'the first ADD of a node says nothing but its result',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.pod();
      const exit = await trial.call('ADD');
      resultOf(exit);
      assert.equal(exit.stderr, '');
    },
  },
  {
    id: '1.2',
    title: 'VERSION lists what it speaks, and needs no stdin',
    versions: cniVersions,
    run: async (trial) => {
      const ours = trial.isReference ? before('1.1.0') : [...cniVersions];
      if (!ours.includes(trial.version)) return;
      for (const stdin of [JSON.stringify({ cniVersion: trial.version }), '']) {
        const output = parsed((await trial.call('VERSION', { stdin })).stdout);
        const supported = output.supportedVersions;
        assert.ok(Array.isArray(supported) && ours.every((each) => supported.includes(each)));
        assert.equal(typeof output.cniVersion, 'string');
      }
    },
  },
  {
    id: 'E10',
    title: "the plugin's own namespace is a pod's if CNI_NETNS_OVERRIDE says so",
    versions: ['1.0.0'],
    run: async (trial) => {
      const env = { CNI_NETNS: '/proc/self/ns/net', CNI_IFNAME: 'own0', CNI_NETNS_OVERRIDE: 'TRUE' };
      resultOf(await trial.call('ADD', { env }));
      assert.ok(await trial.link('own0'));
      await trial.succeeds('DEL', { env });
      assert.equal(await trial.link('own0'), undefined);
    },
  },
  {
    id: 'E19',
    title: 'the variables of a trace are no obstacle',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.pod();
      const env = { TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', BAGGAGE: 'a=b' };
      await trial.add({ env });
    },
  },
  ...(
    [
      [
        'repeated keys, and unknown ones if it says so',
        'IgnoreUnknown=1;IgnoreUnknown=1;K8S_POD_NAME=a',
        undefined,
      ],
      ['a pair without =', 'IgnoreUnknown=1;A', /ARGS: invalid pair/],
      ['a pair with two', 'IgnoreUnknown=1;A=B=C', /ARGS: invalid pair/],
      ['an unknown key', 'FOO=BAR', /ARGS: unknown args/],
    ] as const
  ).map(
    ([what, args, msg]): Case => ({
      id: '1.7',
      title: `CNI_ARGS with ${what} is ${msg ? 'refused' : 'understood'}`,
      versions: ['0.2.0', '1.0.0'],
      run: async (trial) => {
        await trial.pod();
        const options = { env: { CNI_ARGS: args } };
        if (!msg) await trial.add(options);
        else await trial.refuses('ADD', { code: 4, msg }, options);
      },
    }),
  ),
  {
    id: 'E4',
    title: 'CNI_PATH is not needed',
    differs: 'requires CNI_PATH, which the specification calls optional',
    run: async (trial) => {
      await trial.pod();
      resultOf(await trial.call('ADD', { env: { CNI_PATH: null } }));
      await trial.succeeds('DEL', { env: { CNI_PATH: null } });
    },
  },
];
