/** What pods ask of the network: on a real cluster, with kube-proxy in nftables mode, CoreDNS, and weft from its manifest. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Outcome, run } from '../../lab/command.ts';
import { fabric, netnsPath } from '../../lab/names.ts';
import { world } from '../../lab/topology.ts';
import { eventually } from '../lab/ground.ts';
import { dns } from './dns.ts';
import { ClusterFixture, type ClusterPod, page } from './fixture.ts';
import { daemonSet, pod, service } from './objects.ts';

describe('pods in Kubernetes, kube-proxy in nftables mode', () => {
  let fixture: ClusterFixture;
  /** One on each node, behind the Service of that name. */
  let web: ClusterPod[] = [];

  before(async () => {
    fixture = await ClusterFixture.raise('kube-pods');
    await fixture.applyWeft();
    await fixture.apply(
      daemonSet('web'),
      service('web', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }),
    );
    web = await fixture.rolledOut('daemonset', 'web');
  });
  after(() => fixture?.raze());

  const podOn = (node: string): ClusterPod => {
    const found = web.find((candidate) => candidate.node.name === node);
    assert.ok(found, node);
    return found;
  };
  const clusterIp = async (name: string): Promise<string> =>
    (await fixture.get<{ spec: { clusterIP: string } }>('service', name)).spec.clusterIP;

  it('a pod on each of three nodes: every pod reaches every pod', async () => {
    assert.equal(web.length, 3);
    for (const from of web) {
      for (const to of web) await from.ping(to.addresses[0] ?? '');
    }
  });

  it("a node's podCIDR: is what its pods have their addresses from", async () => {
    for (const { node, addresses } of web) {
      const { spec } = await fixture.get<{ spec: { podCIDR: string } }>('node', node.name);
      const prefix = spec.podCIDR.replace(/\.0\/24$/, '.');
      assert.ok(addresses[0]?.startsWith(prefix), `${addresses[0]} in ${spec.podCIDR}`);
    }
  });

  it('ClusterIP: a pod reaches the pods of all nodes behind it, itself included', async () => {
    const address = await clusterIp('web');
    const names = new Set(web.map(({ name }) => name));
    await eventually(async () => {
      names.delete(await podOn('node-1').page(address));
      assert.deepEqual([...names], []);
    });
  });

  it('NodePort: is answered on every node, from a pod, a node and beyond the cluster', async () => {
    const { controlPlane } = fixture.cluster;
    const outside = {
      exec: async (argv: readonly string[]) => ({
        status: 0,
        stdout: await controlPlane.mustExec(argv),
        stderr: '',
      }),
    };
    for (const from of [podOn('node-1'), fixture.node('node-2'), outside]) {
      for (const node of fixture.cluster.lab.nodes) {
        assert.match(await page(from, node.addresses[0] ?? '', 30080), /^web-/);
      }
    }
  });

  it('externalTrafficPolicy Local: the pod sees the address of the client beyond the cluster', async () => {
    await fixture.apply(
      pod({ name: 'local', node: 'node-2' }),
      service('local', {
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        ports: [{ port: 80, nodePort: 30081 }],
      }),
    );
    const [local] = await fixture.ready('local');
    assert.ok(local);
    const { controlPlane } = fixture.cluster;
    const [address] = fixture.node('node-2').addresses;
    // httpd waits for a request for as long as the connection is open.
    const client = `sleep 5 | timeout 5 busybox nc ${address} 30081 || true`;
    const asked = controlPlane.mustExec(['sh', '-c', client]);
    const peers = await connectionsOf(local, 80);
    assert.ok(peers.includes(controlPlane.address), peers);
    await asked;
  });

  it('pod that leaves the cluster: its connection has the address of its node', async () => {
    const [from, beyond] = [podOn('node-1'), netnsPath(fixture.cluster.lab.name, fabric)];
    const there = ['nsenter', `--net=${beyond}`, '--'];
    const server = run([...there, 'sh', '-c', 'sleep 5 | timeout 5 busybox nc -l -p 7777']);
    const client = from.exec(['sh', '-c', `sleep 5 | timeout 5 busybox nc ${world.ipv4} 7777`]);
    const peers = await connectionsOf({ exec: (argv) => run([...there, ...argv]) }, 7777);
    assert.ok(peers.includes(fixture.node('node-1').addresses[0] ?? ''), peers);
    await Promise.all([server, client]);
  });

  it('hostPort: is answered on the address of the node, and no more once the pod is gone', async () => {
    await fixture.apply(pod({ name: 'ported', node: 'node-1', hostPorts: [[8088, 80]] }));
    await fixture.ready('ported');
    const [address = ''] = fixture.node('node-1').addresses;
    assert.equal(await page(fixture.node('node-2'), address, 8088), 'ported');
    assert.equal(await page(podOn('node-3'), address, 8088), 'ported');
    await fixture.kubectl(['delete', 'pod', 'ported', '--wait']);
    await eventually(async () => assert.equal(await page(fixture.node('node-2'), address, 8088), ''));
  });

  it('bandwidth annotations: are set on the pod’s interfaces', async () => {
    const limit = { 'kubernetes.io/ingress-bandwidth': '8M', 'kubernetes.io/egress-bandwidth': '4M' };
    await fixture.apply(pod({ name: 'narrow', node: 'node-3', annotations: limit }));
    await fixture.ready('narrow');
    const queues = await fixture.node('node-3').mustExec(['tc', 'qdisc', 'show']);
    // The limit counts what IP carries, the queue whole frames.
    assert.match(queues, /tbf .*rate 80\d\dKbit/);
    assert.match(queues, /tbf .*rate 40\d\dKbit/);
  });

  it('hostNetwork pod: has the address of its node, and reaches pods on every node', async () => {
    await fixture.apply(pod({ name: 'hosted', node: 'node-1', hostNetwork: true }));
    const [hosted] = await fixture.ready('hosted');
    assert.deepEqual(hosted?.addresses, fixture.node('node-1').addresses);
    for (const { addresses } of web) await hosted?.ping(addresses[0] ?? '');
  });

  it('CoreDNS: a pod resolves a Service by its name', async () => {
    await fixture.apply(...dns);
    await fixture.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s']);
    const address = await clusterIp('web');
    await eventually(async () => {
      const answer = await fixture.kubectl([
        'exec',
        podOn('node-1').name,
        '--',
        'nslookup',
        'web.default.svc.cluster.local',
      ]);
      assert.ok(answer.includes(address), answer);
    });
  });

  it('sandbox that ends: the kubelet creates another, and the pod is reachable again', async () => {
    await fixture.apply(pod({ name: 'crashed', node: 'node-2' }));
    const [before] = await fixture.ready('crashed');
    assert.ok(before);
    await fixture.node('node-2').mustExec(['sh', '-c', endSandbox, 'sh', 'crashed']);
    await eventually(async () => {
      const now = await fixture.pod('crashed');
      assert.notEqual(now.netns, before.netns);
      await podOn('node-1').ping(now.addresses[0] ?? '');
    }, 60_000);
  });

  it('deleted pods: nothing of them is left on their nodes', async () => {
    await fixture.kubectl(['delete', 'pod,service,daemonset', '--all', '--wait', '--timeout=60s']);
    for (const node of fixture.cluster.lab.nodes) {
      await eventually(async () => {
        const files = await node.mustExec([
          'sh',
          '-c',
          'ls /run/weft/attachments /run/weft/tombstones | grep json || true',
        ]);
        const dnsPods = (
          await fixture.get<{ items: unknown[] }>(
            'pods',
            '-A',
            '-l',
            'k8s-app=kube-dns',
            '--field-selector',
            `spec.nodeName=${node.name}`,
          )
        ).items;
        assert.equal(files.trim().split('\n').filter(Boolean).length, dnsPods.length, files);
      });
    }
  });
});

/** Ends the first process of a pod's sandbox by its name in containerd. */
const endSandbox = `
for id in $(ctr -n k8s.io containers ls -q "labels.io.kubernetes.pod.name==$1"); do
  ctr -n k8s.io tasks kill --signal SIGKILL "$id" || true
done`;

/** Established connections to a port, in lines of `ss`, once there is one. */
async function connectionsOf(
  place: { exec(argv: readonly string[]): Promise<Outcome> },
  port: number,
): Promise<string> {
  return await eventually(async () => {
    const { stdout } = await place.exec(['ss', '-Htn', 'state', 'established', 'sport', '=', `:${port}`]);
    assert.notEqual(stdout.trim(), '');
    return stdout;
  });
}
