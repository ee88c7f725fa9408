/** A cluster of kube-flannel becomes one of weft in place, node by node, and goes back. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Daemon } from '../../lab/daemon.ts';
import { onGround } from '../../lab/ground.ts';
import { nodeFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { findProgram } from '../../scripts/needs.ts';
import { ClusterFixture, type ClusterPod } from '../kubernetes/fixture.ts';
import { daemonSet, pod } from '../kubernetes/objects.ts';
import { eventually, SteadyPing } from '../lab/ground.ts';
import { ensureFlanneld } from './build.ts';

const weftctl = fileURLToPath(new URL('../../../dist/bin/weftctl', import.meta.url));

/** What flannel's plugin does: delegates to bridge and host-local, with the subnet of subnet.env. */
const flannelPlugin = `#!/bin/sh
[ "$CNI_COMMAND" != VERSION ] || exec /opt/cni/bin/bridge
. /run/flannel/subnet.env
cat >/dev/null
exec /opt/cni/bin/bridge <<END
{ "cniVersion": "0.3.1", "name": "cbr0", "type": "bridge", "mtu": $FLANNEL_MTU, "isGateway": true, "ipMasq": false,
  "hairpinMode": true, "isDefaultGateway": true,
  "ipam": { "type": "host-local", "ranges": [[{ "subnet": "$(echo "$FLANNEL_SUBNET" | sed 's,\\.1/,.0/,')" }]],
            "routes": [{ "dst": "$FLANNEL_NETWORK" }] } }
END
`;
const conflist = { cniVersion: '0.3.1', name: 'cbr0', plugins: [{ type: 'flannel' }] };
const netConf = { Network: '10.244.0.0/16', EnableNFTables: true, Backend: { Type: 'vxlan' } };

describe('kube-flannel and weft in one cluster', () => {
  let fixture: ClusterFixture;
  let pods: ClusterPod[] = [];
  const flannel = new Map<string, Daemon>();

  before(async () => {
    const program = ensureFlanneld();
    fixture = await ClusterFixture.raise('kube-flannel');
    for (const node of fixture.cluster.lab.nodes) {
      installFlannel(node, fixture.cluster.kubeconfig);
      const daemon = flanneldOn(node, program);
      flannel.set(node.name, daemon);
      await daemon.start();
    }
    await fixture.kubectl(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s']);
    await fixture.apply(daemonSet('web'));
    pods = await fixture.rolledOut('daemonset', 'web');
  });
  after(() => fixture?.raze());

  const podOn = (node: string): ClusterPod => {
    const found = pods.find((candidate) => candidate.node.name === node);
    assert.ok(found, node);
    return found;
  };
  const whole = () =>
    eventually(async () => {
      for (const from of pods) {
        for (const to of pods) await from.ping(to.addresses[0] ?? '');
      }
    }, 60_000);
  const select = (node: string, value: string | undefined): Promise<string> =>
    fixture.kubectl(['label', 'node', node, value ? `network=${value}` : 'network-']);
  /** Ends flanneld on nodes and lets weft have them; returns how many pings were lost, of one every 10 ms. */
  async function takeOver(...nodes: readonly string[]): Promise<{ answered: number; lost: number[] }> {
    const ping = new SteadyPing(podOn('node-1'), podOn('node-2'));
    for (const node of nodes) {
      await flannel.get(node)?.stop();
      await select(node, 'weft');
    }
    await eventually(async () => {
      const { status } = await fixture.get<{ status: { numberReady: number } }>(
        'daemonset/weft',
        '-n',
        'weft-system',
      );
      const { items } = await fixture.get<{ items: unknown[] }>('nodes', '-l', 'network=weft');
      assert.equal(status.numberReady, items.length);
    }, 90_000);
    return await ping.end();
  }

  it('cluster of kube-flannel: pods of three nodes reach each other', whole);

  it('one node is taken over: it keeps its annotated MAC and its pods, and both sides are one network', async () => {
    const before = await fixture.get<NodeObject>('node', 'node-1');
    await fixture.applyWeft({ nodeSelector: { network: 'weft' } });
    const { lost, answered } = await takeOver('node-1');
    process.stdout.write(`node-1: ${lost.length} pings lost, ${answered} answered, one every 10 ms\n`);
    const now = await fixture.get<NodeObject>('node', 'node-1');
    const data = 'flannel.alpha.coreos.com/backend-data';
    assert.equal(now.metadata.annotations[data], before.metadata.annotations[data]);
    await whole();
    const links = await fixture.node('node-1').mustExec(['ip', '-o', 'link']);
    assert.match(links, /weft\.1/);
    assert.doesNotMatch(links, /flannel\.1/);
  });

  it('new pods on both sides: get addresses of their node that no other pod has', async () => {
    await fixture.apply(pod({ name: 'new-1', node: 'node-1' }), pod({ name: 'new-2', node: 'node-2' }));
    const made = await fixture.ready('new-1', 'new-2');
    const addresses = [...pods, ...made].map((one) => one.addresses[0]);
    assert.equal(new Set(addresses).size, addresses.length);
    for (const from of made) {
      for (const to of pods) await from.ping(to.addresses[0] ?? '');
    }
    await fixture.kubectl(['delete', 'pod', 'new-1', 'new-2', '--wait']);
  });

  it('the other nodes are taken over: nothing of flannel is left in their firewall', async () => {
    const { lost, answered } = await takeOver('node-2', 'node-3');
    process.stdout.write(
      `node-2, node-3: ${lost.length} pings lost, ${answered} answered, one every 10 ms\n`,
    );
    await whole();
    for (const node of fixture.cluster.lab.nodes) {
      assert.doesNotMatch(await node.mustExec(['nft', 'list', 'ruleset']), /flannel/i);
    }
  });

  it('a pod that flannel made: is deleted by weft, and its address is free', async () => {
    const { name } = podOn('node-3');
    await fixture.kubectl(['delete', 'pod', name, '--wait']);
    pods = await fixture.rolledOut('daemonset', 'web');
    await whole();
  });

  it('one node goes back, drained: its new pods have their network from flannel', async () => {
    const node = fixture.node('node-1');
    await fixture.kubectl(['cordon', 'node-1']);
    await fixture.kubectl(['delete', 'pod', podOn('node-1').name, '--wait']);
    await select('node-1', undefined);
    await eventually(async () => {
      const agents = await fixture.kubectl([
        'get',
        'pods',
        '-n',
        'weft-system',
        '--field-selector',
        'spec.nodeName=node-1',
        '-o',
        'name',
      ]);
      assert.equal(agents, '');
    }, 60_000);
    await node.mustExec([process.execPath, weftctl, 'node', 'hand-back-to-flannel']);
    await flannel.get('node-1')?.start();
    await fixture.kubectl(['uncordon', 'node-1']);
    pods = await fixture.rolledOut('daemonset', 'web');
    await whole();
    assert.match(await node.mustExec(['ip', '-o', 'link']), /flannel\.1/);
    assert.doesNotMatch(await node.mustExec(['nft', 'list', 'ruleset']), /weft/);
  });
});

interface NodeObject {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
}

function installFlannel(node: LabNode, kubeconfig: string): void {
  const bin = node.path('/opt/cni/bin');
  mkdirSync(bin, { recursive: true });
  for (const name of ['bridge', 'host-local', 'loopback', 'portmap']) {
    // By folder: iproute2 has a program called bridge as well.
    copyFileSync(join(dirname(findProgram('host-local') ?? ''), name), join(bin, name));
  }
  writeFileSync(join(bin, 'flannel'), flannelPlugin, { mode: 0o755 });
  const configuration = node.path('/etc/cni/net.d');
  mkdirSync(configuration, { recursive: true });
  writeFileSync(join(configuration, '10-flannel.conflist'), JSON.stringify(conflist));
  writeFileSync(node.path('/run/kubernetes/net-conf.json'), JSON.stringify(netConf));
  copyFileSync(kubeconfig, node.path('/run/kubernetes/flannel.conf'));
}

function flanneldOn(node: LabNode, program: string): Daemon {
  const { lab, name } = node;
  return new Daemon({
    lab,
    label: `flanneld on ${name}`,
    logFile: join(nodeFolder(lab, name), 'flanneld.log'),
    pidFile: join(nodeFolder(lab, name), 'flanneld.json'),
    ready: { ask: async () => existsSync(node.path('/run/flannel/subnet.env')) },
    readyWithinMs: 60_000,
    command: () =>
      onGround({ lab, node: name }, [
        ...['env', `NODE_NAME=${name}`, program, '--kube-subnet-mgr', '--ip-masq'],
        ...[
          '--kubeconfig-file=/run/kubernetes/flannel.conf',
          '--net-config-path=/run/kubernetes/net-conf.json',
        ],
        ...[`--iface=${node.addresses[0]}`, '--iptables-forward-rules=false'],
      ]),
  });
}
