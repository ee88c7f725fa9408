/** What an attachment is known by: network, container and interface; and the namespace, as its path was given. */
import assert from 'node:assert/strict';
import { type Case, since } from '../case.ts';
import { globalAddresses, isVeth } from '../kernel-state.ts';
import { addressesIn, ipv4, listOf, netnsOf, of, onlyOne, parsed, type Trial } from '../trial.ts';

const other = { type: 'host-local', ranges: [[{ subnet: '10.8.0.0/24' }]] };

/** ADD and DEL under these names, twice: nothing holds the network's only address afterwards. */
async function comesAndGoes(trial: Trial, names: { container?: string; network?: string }): Promise<void> {
  await trial.pod();
  const { container = 'pod', network = 'trial' } = names;
  const options = {
    env: { ...of('pod'), CNI_CONTAINERID: container },
    config: { name: network, ipam: onlyOne },
  };
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(addressesIn(await trial.add(options)), ['10.7.0.2/24']);
    await trial.succeeds('DEL', options);
    assert.deepEqual((await trial.links()).filter(isVeth), []);
  }
}

export const keyCases: readonly Case[] = [
  {
    id: 'E3',
    title: 'DEL needs no namespace; GC and STATUS need no variable but their verb',
    versions: since('1.1.0'),
    oursAlone: true,
    run: async (trial) => {
      await trial.succeeds('DEL', { env: { CNI_NETNS: null } });
      const nothing = { CNI_CONTAINERID: null, CNI_NETNS: null, CNI_IFNAME: null, CNI_ARGS: null };
      await trial.succeeds('GC', { env: nothing, config: { 'cni.dev/valid-attachments': [] } });
      const { stdout } = await trial.call('STATUS', { env: nothing });
      assert.ok(stdout === '' || parsed(stdout).code === 50, stdout);
    },
  },
  {
    id: 'E6',
    title: 'a container and a network may have every character that is allowed',
    run: (trial) => comesAndGoes(trial, { container: '0a.B_c-9', network: '9N.e_t-w' }),
  },
  {
    id: 'E6',
    title: 'a container and a network may have a name of any length',
    differs: 'names a directory after the network',
    run: (trial) => comesAndGoes(trial, { container: 'c'.repeat(1000), network: 'n'.repeat(1000) }),
  },
  {
    id: 'A6',
    title: 'the result has the path of the namespace as it was given, and CHECK wants the same',
    versions: since('0.4.0'),
    run: async (trial) => {
      await trial.pod();
      const path = '/run/trial/linked';
      await trial.ground.must('ln', '-s', netnsOf('pod'), path);
      const env = { CNI_NETNS: path };
      const prevResult = await trial.add({ env });
      const sandboxes = listOf(prevResult, 'interfaces').map(({ sandbox }) => sandbox || undefined);
      assert.deepEqual(sandboxes, [undefined, undefined, path]);
      await trial.succeeds('CHECK', { env, config: { prevResult } });
      assert.notEqual((await trial.call('CHECK', { config: { prevResult } })).status, 0);
    },
  },
  {
    id: 'D5',
    title: 'the same container and interface in another network is another attachment',
    run: async (trial) => {
      await trial.pod();
      await trial.pod('elsewhere');
      const env = { ...of('elsewhere'), CNI_CONTAINERID: 'pod' };
      const second = { name: 'second', bridge: 'second0', ipam: other };
      await trial.add({ config: { ipam: ipv4 } });
      assert.deepEqual(addressesIn(await trial.add({ env, config: second })), ['10.8.0.2/24']);
      await trial.succeeds('DEL', { env, config: second });
      assert.equal(await trial.link('eth0', 'elsewhere'), undefined);
      assert.deepEqual(globalAddresses(await trial.addresses('eth0', 'pod')), ['10.7.0.2/24']);
      await trial.pod('next');
      assert.deepEqual(addressesIn(await trial.add({ env: of('next') })), ['10.7.0.3/24']);
    },
  },
  {
    id: 'D6',
    title: "a late DEL leaves alone what has the attachment's address by now",
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      const config = { isGateway: true, ipam: onlyOne };
      await trial.pod();
      await trial.pod('next');
      await trial.add({ config });
      // As after a cleanup by hand: the address counts as free, its pod's DEL is still to come.
      await trial.ground.must('rm', '/run/weft/ipam/trial/10.7.0.2');
      await trial.ground.must('ip', 'netns', 'delete', 'pod');
      await trial.add({ env: of('next'), config });
      await trial.succeeds('DEL', { config });
      await trial.ground.must('ping', '-c1', '-W10', '10.7.0.2');
      await trial.pod('third');
      await trial.refuses('ADD', { code: 101 }, { env: of('third'), config });
    },
  },
];
