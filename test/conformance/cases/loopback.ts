/** What containerd expects of the plugin `loopback`. */
import assert from 'node:assert/strict';
import { atLeast, type CniVersion, cniVersions } from '../../../plugin/protocol/version.ts';
import { before, type Case, since } from '../case.ts';
import { addressesIn, listOf, netnsOf, parsed, resultOf, type Trial, type Variables } from '../trial.ts';

const isUp = async (trial: Trial): Promise<boolean> =>
  (await trial.link('lo', 'pod'))?.flags.includes('UP') ?? false;

const missing: [verb: string, names: string[], versions: readonly CniVersion[]][] = [
  ['ADD', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'], cniVersions],
  ['CHECK', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'], since('0.4.0')],
  ['DEL', ['CNI_CONTAINERID', 'CNI_IFNAME'], cniVersions],
];

const badVariables: Variables[] = [
  { CNI_CONTAINERID: 'a%b' },
  { CNI_CONTAINERID: '"},{' },
  { CNI_IFNAME: 'x'.repeat(16) },
  { CNI_IFNAME: '..' },
  { CNI_IFNAME: 'a/b' },
  { CNI_IFNAME: 'a b' },
];

const nested = (depth: number): string =>
  `{"cniVersion":"1.0.0","name":"x","a":${'['.repeat(depth)}${']'.repeat(depth)}}`;

const badStdin: [what: string, stdin: string, code: number][] = [
  ['nothing', '', 6],
  ['a text that ends early', '{"name":"x"', 6],
  ['an array', '[]', 6],
  ['bytes after the object', '{"cniVersion":"1.0.0","name":"x"}}', 6],
  ['a string that does not end', '{"cniVersion":"1.0.0","name":"x', 6],
  ['an escape that does not end', '{"cniVersion":"1.0.0","name":"x\\', 6],
  ['a key without a value', '{"cniVersion":"1.0.0","name"}', 6],
  ['arrays 100 000 deep', nested(100_000), 6],
  ['no name', '{"cniVersion":"1.0.0"}', 7],
  ['a name with a blank', '{"cniVersion":"1.0.0","name":"a b"}', 7],
  ['a name of 300 bytes', `{"cniVersion":"1.0.0","name":"${'a'.repeat(300)}"}`, 7],
];

/** Of a key that differs in case only and of a repeated key the last wins, as Go has it. */
const oddStdin = [
  '{"CNIVERSION":"1.0.0","Name":"x"}',
  '{"cniVersion":"9.9.9","name":"%","cniVersion":"1.0.0","name":"x"}',
  ' {"a":{"name":"%","cniVersion":"9.9.9"},"b":[1.5e-3,true,null,"\\"}"],"name":"x","cniVersion":"1.0.0"} \n',
  nested(50),
];

export const loopbackCases: readonly Case[] = [
  {
    id: 'L1',
    title: 'ADD: lo is up and has its addresses, and the result says so',
    differs: 'omits the family of addresses, which versions before 1.0.0 require',
    run: async (trial) => {
      await trial.pod();
      assert.equal(await isUp(trial), false);
      const result = await trial.add();
      assert.equal(await isUp(trial), true);
      assert.equal(result.cniVersion, trial.version);
      assert.deepEqual(addressesIn(result), ['127.0.0.1/8', '::1/128']);
      if (!atLeast(trial.version, '0.3.0')) return;
      const [lo] = listOf(result, 'interfaces');
      assert.deepEqual([lo?.name, lo?.mac, lo?.sandbox], ['lo', '00:00:00:00:00:00', netnsOf('pod')]);
      const old = !atLeast(trial.version, '1.0.0');
      assert.deepEqual(
        listOf(result, 'ips').map((each) => [each.version, each.interface]),
        old
          ? [
              ['4', 0],
              ['6', 0],
            ]
          : [
              [undefined, 0],
              [undefined, 0],
            ],
      );
    },
  },
  {
    id: 'L1',
    title: 'ADD in a pod without IPv6: the result has the IPv4 address only',
    run: async (trial) => {
      await trial.pod();
      const disable = 'echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6';
      await trial.ground.must('ip', 'netns', 'exec', 'pod', 'sh', '-c', disable);
      assert.deepEqual(addressesIn(await trial.add()), ['127.0.0.1/8']);
    },
  },
  {
    id: 'L2',
    title: 'prevResult: passed on as it is',
    versions: since('0.3.0'),
    run: async (trial) => {
      await trial.pod();
      const family = atLeast(trial.version, '1.0.0') ? {} : { version: '4' };
      const prevResult = {
        cniVersion: trial.version,
        interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: netnsOf('pod') }],
        ips: [{ ...family, interface: 0, address: '192.0.2.7/24', gateway: '192.0.2.1' }],
        routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }],
        dns: { nameservers: ['192.0.2.53'], search: ['a"b'] },
      };
      assert.deepEqual(await trial.add({ config: { prevResult } }), prevResult);
      assert.equal(await isUp(trial), true);
      const { cniVersion: _, ...bare } = prevResult;
      assert.deepEqual(await trial.add({ config: { prevResult: bare } }), prevResult);
    },
  },
  {
    id: 'L2',
    title: 'prevResult that is null or empty: the result is about lo',
    versions: since('0.3.0'),
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      for (const prevResult of [null, {}])
        assert.equal((await trial.add({ config: { prevResult } })).cniVersion, trial.version);
    },
  },
  {
    id: 'L2',
    title: 'prevResult that is no object: refused',
    versions: since('0.3.0'),
    differs: 'answers 999',
    run: async (trial) => {
      await trial.pod();
      await trial.refuses('ADD', { code: 7 }, { config: { prevResult: 'x' } });
      await trial.succeeds('DEL', { config: { prevResult: 'x' } });
    },
  },
  {
    id: 'L3',
    title: 'DEL: lo is down; repeated, and without a sandbox, it succeeds',
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      await trial.succeeds('DEL');
      assert.equal(await isUp(trial), false);
      await trial.succeeds('DEL');
      for (const CNI_NETNS of ['', '/run/netns/absent', null])
        await trial.succeeds('DEL', { env: { CNI_NETNS } });
    },
  },
  {
    id: 'L3',
    title: "DEL with a plain file or the caller's own namespace: succeeds and changes nothing",
    oursAlone: true,
    run: async (trial) => {
      await trial.ground.must('touch', '/run/trial/file');
      for (const CNI_NETNS of ['/run/trial/file', '/proc/self/ns/net'])
        await trial.succeeds('DEL', { env: { CNI_NETNS } });
      assert.ok((await trial.link('lo'))?.flags.includes('UP'), 'the lo of the host is down');
    },
  },
  {
    id: 'L4',
    title: 'CHECK: succeeds while lo is up, refused when it is down',
    versions: since('0.4.0'),
    run: async (trial) => {
      await trial.pod();
      const prevResult = await trial.add();
      await trial.succeeds('CHECK', { config: { prevResult } });
      await trial.ground.must('ip', '-n', 'pod', 'link', 'set', 'lo', 'down');
      await trial.refuses('CHECK', { code: 105, msg: /down/ }, { config: { prevResult } });
      assert.equal(await isUp(trial), false, 'CHECK changed lo');
    },
  },
  {
    id: 'L5',
    title: 'CHECK before 0.4.0, GC and STATUS before 1.1.0: refused',
    versions: before('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      const later = atLeast(trial.version, '0.4.0') ? ['GC', 'STATUS'] : ['CHECK', 'GC', 'STATUS'];
      await trial.pod();
      for (const verb of later) await trial.refuses(verb, { code: 1, msg: /config version does not allow/ });
    },
  },
  {
    id: 'L5',
    title: 'GC and STATUS: succeed in silence, whatever the variables are',
    versions: since('1.1.0'),
    run: async (trial) => {
      for (const verb of ['GC', 'STATUS'])
        await trial.succeeds(verb, { env: { CNI_CONTAINERID: '%', CNI_IFNAME: '..' } });
    },
  },
  {
    id: 'L6',
    title: 'VERSION: the version that was asked in and the whole list, also without stdin',
    run: async (trial) => {
      const ours = trial.isReference ? before('1.1.0') : [...cniVersions];
      for (const stdin of [JSON.stringify({ cniVersion: trial.version }), '', '{']) {
        const answer = parsed((await trial.call('VERSION', { stdin })).stdout);
        const supported = answer.supportedVersions;
        assert.ok(Array.isArray(supported) && ours.every((each) => supported.includes(each)));
        if (!trial.isReference && stdin.length > 1) assert.equal(answer.cniVersion, trial.version);
      }
    },
  },
  {
    id: 'L6',
    title: 'no verb: the versions on stderr; an unknown verb: refused',
    versions: ['1.0.0'],
    run: async (trial) => {
      const exit = await trial.call('', { env: { CNI_COMMAND: null } });
      assert.deepEqual([exit.status, exit.stdout], [0, '']);
      assert.match(exit.stderr, /CNI protocol versions supported: /);
      await trial.refuses('UPDATE', { code: 4, msg: /unknown CNI_COMMAND: UPDATE/ });
    },
  },
  ...missing.map(
    ([verb, names, versions]): Case => ({
      id: 'L7',
      title: `${verb} without its variables: all that are missing are named`,
      versions,
      run: async (trial) => {
        const env = Object.fromEntries(names.map((name) => [name, null]));
        const msg = new RegExp(`required env variables \\[${names.join(',')}\\] missing`);
        await trial.refuses(verb, { code: 4, msg }, { env });
      },
    }),
  ),
  {
    id: 'L7',
    title: 'a container id or an interface name of a wrong form: refused',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.pod();
      for (const env of badVariables) {
        await trial.refuses('ADD', { code: 4 }, { env });
        await trial.refuses('DEL', { code: 4 }, { env });
      }
    },
  },
  {
    id: 'L8',
    title: "a namespace that is absent, a plain file or the caller's own: refused with code 8",
    differs: "takes the caller's own namespace",
    run: async (trial) => {
      await trial.ground.must('touch', '/run/trial/file');
      const verbs = atLeast(trial.version, '0.4.0') ? ['ADD', 'CHECK'] : ['ADD'];
      for (const CNI_NETNS of ['/run/netns/absent', '/run/trial/file', '/proc/self/ns/net'])
        for (const verb of verbs) await trial.refuses(verb, { code: 8 }, { env: { CNI_NETNS } });
      resultOf(
        await trial.call('ADD', { env: { CNI_NETNS: '/proc/self/ns/net', CNI_NETNS_OVERRIDE: 'True' } }),
      );
    },
  },
  {
    id: 'L9',
    title: 'stdin that is no configuration: refused',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      for (const [what, stdin, code] of badStdin)
        for (const verb of ['ADD', 'DEL', 'STATUS']) {
          const exit = await trial.call(verb, { stdin });
          assert.equal(parsed(exit.stdout).code, code, `${verb} with ${what}`);
        }
    },
  },
  {
    id: 'L9',
    title: 'keys in any case, repeated or nested: read as Go reads them',
    versions: ['1.0.0'],
    run: async (trial) => {
      await trial.pod();
      for (const stdin of oddStdin)
        assert.equal(resultOf(await trial.call('ADD', { stdin })).cniVersion, '1.0.0', stdin);
    },
  },
  {
    id: 'L10',
    title: 'versions: none means 0.1.0, an unknown one is refused, what is no version is undecodable',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      assert.equal((await trial.add({ config: { cniVersion: undefined } })).cniVersion, '0.1.0');
      await trial.refuses('ADD', { code: 1, msg: /9\.9\.9/ }, { config: { cniVersion: '9.9.9' } });
      await trial.refuses('ADD', { code: 1 }, { config: { cniVersion: '1.0.0","1.1.0' } });
      await trial.refuses('ADD', { code: 6 }, { config: { cniVersion: 1 } });
      await trial.refuses('CHECK', { code: 6 }, { config: { cniVersion: 'bad version' } });
    },
  },
];
