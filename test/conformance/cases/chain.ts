/** The stock plugins behind the subject in one list, as a runtime executes them: portmap, firewall, bandwidth, tuning. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../../../json/object.ts';
import { type Network, parseNetwork } from '../../../libcni/network.ts';
import { type Attachment, CniRuntime } from '../../../libcni/runtime.ts';
import type { CniVersion } from '../../../plugin/protocol/version.ts';
import type { Case } from '../case.ts';
import { listOf, netnsOf, type Trial } from '../trial.ts';

/** Those of Debian 12 speak nothing newer; CHECK is along from 0.4.0 on. */
const versions: readonly CniVersion[] = ['0.3.1', '0.4.0', '1.0.0'];

interface Chain {
  readonly runtime: CniRuntime;
  readonly network: Network;
  readonly attachment: Attachment;
}

/** ADD of the whole chain; DEL of it when `test` is done. CHECK, where there is one, must pass in between. */
async function chained(
  trial: Trial,
  options: {
    plugin: Json;
    capabilityArgs?: Json;
    /** The plugin fails the CHECK of what it made itself. */
    failsCheck?: boolean;
    test: (result: Json) => Promise<void>;
  },
): Promise<void> {
  const { plugin, capabilityArgs, failsCheck = false, test } = options;
  const { cniVersion, name, ...first } = trial.config({ isDefaultGateway: true });
  const network = parseNetwork(JSON.stringify({ cniVersion, name, plugins: [first, plugin] }));
  const cacheDir = mkdtempSync(join(tmpdir(), 'weft-conformance-'));
  const { prefix } = trial.ground;
  const runtime = new CniRuntime({ pluginDirs: trial.subject.pluginDirs, prefix, cacheDir });
  await trial.pod();
  const attachment = {
    ...{ containerId: 'pod', ifname: 'eth0', netns: netnsOf('pod') },
    ...(capabilityArgs && { capabilityArgs }),
  };
  try {
    const result = await runtime.add(network, attachment);
    if (cniVersion !== '0.3.1' && !failsCheck) await runtime.check(network, attachment);
    await test(result);
    await del({ runtime, network, attachment });
  } finally {
    rmSync(cacheDir, { recursive: true });
  }
}

/** Twice, as runtimes do. */
async function del({ runtime, network, attachment }: Chain): Promise<void> {
  for (let times = 0; times < 2; times++) await runtime.del(network, attachment);
}

export const chainCases: readonly Case[] = [
  {
    id: 'chain',
    title: 'portmap behind it leads a host port to the pod, and nothing of it is left',
    versions,
    run: (trial) =>
      chained(trial, {
        plugin: { type: 'portmap', capabilities: { portMappings: true } },
        // That of 1.1.1 looks for rules of IPv6 where the pod has no such address.
        failsCheck: true,
        capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
        test: async () => {
          await trial.ground.speaker('pod').serve('tcp', '0.0.0.0', 80);
          assert.equal(await trial.ground.speaker().ask('tcp', '10.7.0.1', 8080), '10.7.0.1');
        },
      }).then(async () => {
        assert.doesNotMatch(await trial.ground.must('nft', 'list', 'ruleset'), /8080/);
      }),
  },
  {
    id: 'chain',
    title: 'firewall behind it lets the pod through, and nothing of it is left',
    versions: ['1.0.0'],
    run: (trial) =>
      chained(trial, {
        plugin: { type: 'firewall', backend: 'iptables' },
        test: async (result) => {
          assert.equal(listOf(result, 'interfaces').length, 3);
          await trial.ground.must('ping', '-c1', '-W10', '10.7.0.2');
        },
      }).then(async () => {
        assert.doesNotMatch(await trial.ground.must('nft', 'list', 'ruleset'), /10\.7\.0\.2/);
      }),
  },
  {
    id: 'chain',
    title: 'bandwidth behind it slows the pod down in both directions, and nothing of it is left',
    versions,
    run: (trial) =>
      chained(trial, {
        plugin: { type: 'bandwidth', capabilities: { bandwidth: true } },
        capabilityArgs: {
          bandwidth: { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
        },
        test: async () => {
          const shown = await trial.ground.must('tc', 'qdisc', 'show');
          assert.equal(shown.match(/tbf .* rate 1Mbit/g)?.length, 2, shown);
        },
      }).then(async () => {
        assert.doesNotMatch(await trial.ground.must('ip', 'link', 'show'), /ifb|bwp|veth/);
      }),
  },
  {
    id: 'chain',
    title: "tuning behind it sets the pod's MAC and sysctls, which CHECK then expects",
    versions,
    run: (trial) =>
      chained(trial, {
        plugin: {
          ...{ type: 'tuning', mac: 'c2:11:22:33:44:55' },
          sysctl: { 'net.ipv4.conf.all.log_martians': '1' },
        },
        test: async (result) => {
          const inside = listOf(result, 'interfaces').find(({ sandbox }) => sandbox === netnsOf('pod'));
          assert.equal(inside?.mac, 'c2:11:22:33:44:55');
          assert.equal((await trial.link('eth0', 'pod'))?.address, 'c2:11:22:33:44:55');
        },
      }),
  },
];
