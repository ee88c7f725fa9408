/** CHECK finds what is gone; GC removes what is not listed; STATUS says whether ADD would work. */
import assert from 'node:assert/strict';
import type { Json } from '../../../json/object.ts';
import type { CniVersion } from '../../../plugin/protocol/version.ts';
import { type Case, since } from '../case.ts';
import { isVeth } from '../kernel-state.ts';
import { addressesIn, ipv4, listOf, of, onlyOne, parsed, type Trial } from '../trial.ts';

const config = { isDefaultGateway: true, hairpinMode: true };

/** ADD, and CHECK right after it, which must pass. */
async function checked(trial: Trial): Promise<Json> {
  await trial.pod();
  const prevResult = await trial.add({ config });
  await trial.succeeds('CHECK', { config: { ...config, prevResult } });
  return prevResult;
}

interface Damage {
  readonly what: string;
  readonly differs?: string;
  readonly versions?: readonly CniVersion[];
  readonly commands: (names: { veth: string }) => string[][];
}

const unverified = 'CHECK does not look at it';

const damages: readonly Damage[] = [
  { what: 'the interface is gone', commands: () => [['ip', '-n', 'pod', 'link', 'del', 'eth0']] },
  { what: 'the address is gone', commands: () => [['ip', '-n', 'pod', 'addr', 'flush', 'dev', 'eth0']] },
  { what: 'the default route is gone', commands: () => [['ip', '-n', 'pod', 'route', 'del', 'default']] },
  { what: 'the veth left the bridge', commands: ({ veth }) => [['ip', 'link', 'set', veth, 'nomaster']] },
  { what: 'the bridge is gone', commands: () => [['ip', 'link', 'del', 'trial0']] },
  {
    what: 'the MAC is another',
    commands: () => [
      ['ip', '-n', 'pod', 'link', 'set', 'eth0', 'down'],
      ['ip', '-n', 'pod', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77'],
      ['ip', '-n', 'pod', 'link', 'set', 'eth0', 'up'],
      ['ip', '-n', 'pod', 'route', 'add', 'default', 'via', '10.7.0.1'],
    ],
  },
  {
    what: 'the bridge has lost its address',
    differs: unverified,
    commands: () => [['ip', 'addr', 'flush', 'dev', 'trial0']],
  },
  {
    what: 'the port is not hairpinned any more',
    differs: unverified,
    commands: ({ veth }) => [['bridge', 'link', 'set', 'dev', veth, 'hairpin', 'off']],
  },
  {
    what: 'the MTU is another',
    differs: unverified,
    // Results before carry no MTU, and a later plugin of the chain may have changed it.
    versions: since('1.1.0'),
    commands: () => [['ip', '-n', 'pod', 'link', 'set', 'eth0', 'mtu', '1300']],
  },
];

export const checkGcCases: readonly Case[] = [
  {
    id: 'CHECK',
    title: 'pod whose MTU tuning has changed behind the plugin: passes',
    versions: ['0.4.0', '1.0.0'],
    run: async (trial) => {
      const prevResult = await trial.addPod({ config });
      const env = { ...of('pod'), CNI_COMMAND: 'ADD', CNI_PATH: '/usr/lib/cni' };
      const tuned = JSON.stringify({
        cniVersion: trial.version,
        name: 'trial',
        type: 'tuning',
        mtu: 1400,
        prevResult,
      });
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
      const ran = await trial.ground.run(['env', ...variables, '/usr/lib/cni/tuning'], tuned);
      assert.equal((await trial.link('eth0', 'pod'))?.mtu, 1400, ran.stdout);
      await trial.succeeds('CHECK', { config: { ...config, prevResult: parsed(ran.stdout) } });
    },
  },
  {
    id: 'CHECK',
    title: 'routes with a scope, a table, a priority, and twice to one destination: passes',
    versions: since('0.4.0'),
    oursAlone: true,
    run: async (trial) => {
      const routes = [
        { dst: '10.8.0.0/16', scope: 253 },
        { dst: '10.9.0.0/16', table: 100 },
        { dst: '10.9.0.0/16', gw: '10.7.0.1', table: 101, priority: 7 },
        { dst: '10.10.0.0/16', gw: '10.7.0.9', mtu: 1300 },
        { dst: '0.0.0.0/0', priority: 9 },
      ];
      const more = { ...config, isDefaultGateway: true, ipam: { ...ipv4, routes } };
      const prevResult = await trial.addPod({ config: more });
      await trial.succeeds('CHECK', { config: { ...more, prevResult } });
      await trial.ground.must('ip', '-n', 'pod', 'route', 'flush', 'table', '100');
      await trial.refuses(
        'CHECK',
        { code: 105, msg: /route 10\.9\.0\.0/ },
        { config: { ...more, prevResult } },
      );
    },
  },
  {
    id: 'CHECK',
    title: 'passes right after ADD, and prints nothing',
    versions: since('0.4.0'),
    run: async (trial) => {
      await checked(trial);
    },
  },
  {
    id: 'CHECK',
    title: 'needs a prevResult',
    versions: since('0.4.0'),
    run: async (trial) => {
      await checked(trial);
      await trial.refuses('CHECK', { code: 7, msg: /Required prevResult missing/ }, { config });
    },
  },
  {
    id: 'CHECK',
    title: 'fails in another namespace than that of the result',
    versions: since('0.4.0'),
    run: async (trial) => {
      const prevResult = await checked(trial);
      const other = await trial.pod('other');
      const exit = await trial.call('CHECK', {
        env: { CNI_NETNS: other },
        config: { ...config, prevResult },
      });
      assert.notEqual(exit.status, 0);
    },
  },
  ...damages.map(
    ({ what, differs, versions, commands }): Case => ({
      id: 'CHECK',
      title: `notices that ${what}`,
      versions: versions ?? since('0.4.0'),
      ...(differs && { differs }),
      run: async (trial) => {
        const prevResult = await checked(trial);
        const veth = String(listOf(prevResult, 'interfaces')[1]?.name);
        const before = await trial.addressState('pod');
        for (const command of commands({ veth })) await trial.ground.must(...command);
        const exit = await trial.call('CHECK', { config: { ...config, prevResult } });
        // An agent may have been quicker, and then all must be as it was.
        const isMended = exit.status === 0 && trial.subject.mends;
        if (isMended) assert.equal(await trial.addressState('pod'), before);
        else trial.assertRefused(exit, { code: 105 });
      },
    }),
  ),
  {
    id: 'GC',
    title: 'removes what is not listed, and only that',
    versions: since('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      for (const name of ['dead', 'live']) {
        await trial.pod(name);
        await trial.add({ env: of(name) });
      }
      const valid = [{ containerID: 'live', ifname: 'eth0' }];
      await trial.succeeds('GC', { config: { 'cni.dev/valid-attachments': valid } });
      assert.equal((await trial.links()).filter(isVeth).length, 1);
      assert.ok(await trial.link('eth0', 'live'));
      assert.equal(await trial.link('eth0', 'dead'), undefined);
    },
  },
  {
    id: 'GC',
    title: 'frees the addresses of pods whose namespaces are gone',
    versions: since('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      await trial.add({ config: { ipam: onlyOne } });
      await trial.ground.must('ip', 'netns', 'delete', 'pod');
      await trial.succeeds('GC', { config: { ipam: onlyOne, 'cni.dev/valid-attachments': null } });
      await trial.pod('next');
      const result = await trial.add({ env: of('next'), config: { ipam: onlyOne } });
      assert.deepEqual(addressesIn(result), ['10.7.0.2/24']);
    },
  },
  {
    id: 'GC',
    title: 'of another network touches nothing, nor does one without a list',
    versions: since('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      await trial.add();
      await trial.succeeds('GC', { config: { name: 'other', 'cni.dev/valid-attachments': [] } });
      await trial.succeeds('GC');
      assert.ok(await trial.link('eth0', 'pod'));
    },
  },
  {
    id: 'STATUS',
    title: 'fails once there are no addresses left',
    versions: since('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      const exhausted = { ipam: onlyOne };
      await trial.succeeds('STATUS', { config: exhausted });
      await trial.pod();
      await trial.add({ config: exhausted });
      await trial.refuses('STATUS', { code: 50 }, { config: exhausted });
    },
  },
];
