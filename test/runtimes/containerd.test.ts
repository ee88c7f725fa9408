/** containerd executes the plugin: for `ctr run --cni`, whose DEL names no namespace, and for a kubelet's pods. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eachInParallel } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { Containerd, containerdSocket } from './containerd.ts';
import { Cri, type CriPod } from './cri/cri.ts';
import { archive, RuntimeGround } from './ground.ts';

interface Host {
  readonly node: LabNode;
  readonly containerd: Containerd;
  readonly cri: Cri;
}

describe('containerd', () => {
  let ground: RuntimeGround;
  let hosts: Host[] = [];

  before(async () => {
    ground = await RuntimeGround.raise('containerd');
    hosts = await eachInParallel(ground.lab.nodes, 2, async (node) => {
      const containerd = await Containerd.start({ node, archive, namespaces: ['default', 'k8s.io'] });
      const cri = new Cri({ socket: node.path(containerdSocket), cgroup: ground.cgroup });
      return { node, containerd, cri };
    });
  });

  after(async () => {
    for (const { cri } of hosts) cri.close();
    await Promise.all(hosts.map(({ containerd }) => containerd.stop()));
    await ground?.raze();
  });

  const host = (index: number): Host => {
    const found = hosts[index];
    assert.ok(found);
    return found;
  };

  /** Runs the block with pods, one on each of these hosts, that are stopped and removed afterwards. */
  async function withPods(
    wishes: readonly {
      on: number;
      name: string;
      ports?: readonly [number, number][];
      annotations?: Record<string, string>;
    }[],
    block: (...pods: CriPod[]) => Promise<void>,
  ): Promise<void> {
    const pods = await Promise.all(
      wishes.map(({ on, name, ports = [], annotations = {} }) =>
        host(on).cri.run({
          name,
          annotations,
          portMappings: ports.map(([hostPort, containerPort]) => tcp(hostPort, containerPort)),
        }),
      ),
    );
    try {
      await block(...pods);
    } finally {
      await Promise.all(
        pods.map(async (pod, i) => {
          const { cri } = host(wishes[i]?.on ?? 0);
          await cri.stop(pod);
          await cri.remove(pod);
        }),
      );
    }
  }

  it('runs a container of ctr with an address of the node, and leaves nothing of it', async () => {
    const { node, containerd } = host(0);
    const exit = await containerd.run({
      id: 'one',
      argv: ['ip', '-o', 'addr', 'show', 'eth0'],
      cgroup: ground.cgroup,
    });
    assert.equal(exit.status, 0, exit.stderr);
    assert.match(exit.stdout, / inet 10\.244\.\d+\.\d+\/24 /);
    assert.deepEqual(await ground.leftovers(node), []);
  });

  it('is told by the CRI that the network is ready', async () => {
    assert.deepEqual(await host(0).cri.unready(), []);
  });

  it('connects the pods of two nodes', async () => {
    await withPods(
      [
        { on: 0, name: 'a' },
        { on: 1, name: 'b' },
      ],
      async (a, b) => {
        assert.ok(a && b);
        const there = await host(0).cri.exec(a, 'ping', '-c', '1', '-W', '2', b.addresses[0] ?? '');
        assert.equal(there.status, 0, there.stdout);
        const back = await host(1).cri.exec(b, 'ping', '-c', '1', '-W', '2', a.addresses[0] ?? '');
        assert.equal(back.status, 0, back.stdout);
      },
    );
    for (const { node } of hosts) assert.deepEqual(await ground.leftovers(node), []);
  });

  it("publishes a pod's port on every address of its node, and takes it back", async () => {
    const [here, there] = [host(0), host(1)];
    const [nodeAddress] = here.node.addresses;
    const page = (from: Host, address = '') => ground.page(from.node, address, 8080);
    await withPods([{ on: 0, name: 'web', ports: [[8080, 80]] }], async (web) => {
      assert.ok(web);
      await here.cri.exec(web, 'httpd', '-p', '80', '-h', '/etc');
      for (const [from, address] of [
        [there, nodeAddress],
        [here, nodeAddress],
        [here, '127.0.0.1'],
      ] as const) {
        assert.match(await page(from, address), /^root:/m, `${address} from ${from.node.name}`);
      }
      await assert.rejects(here.cri.run({ name: 'rival', portMappings: [tcp(8080, 80)] }), /8080/);
    });
    assert.equal(await page(there, nodeAddress), '');
    assert.deepEqual(await ground.leftovers(here.node), []);
  });

  it('holds a pod to the bandwidth of its annotations, in both directions', async () => {
    const [here, there] = [host(0), host(1)];
    const bandwidth = (value: string) => ({
      'kubernetes.io/ingress-bandwidth': value,
      'kubernetes.io/egress-bandwidth': value,
    });
    await withPods(
      [
        { on: 0, name: 'wide' },
        { on: 1, name: 'narrow', annotations: bandwidth('4M') },
      ],
      async (wide, narrow) => {
        assert.ok(wide && narrow);
        await serveFile(here.cri, wide);
        await serveFile(there.cri, narrow);
        for (const [to, from, cri] of [
          [narrow, wide, there.cri],
          [wide, narrow, here.cri],
        ] as const) {
          const startMs = performance.now();
          const url = `http://${from.addresses[0]}/file`;
          const got = await cri.exec(to, 'wget', '-q', '-O', '/dev/null', url);
          assert.equal(got.status, 0, got.stderr);
          const bitsPerSecond = (fileBytes * 8) / ((performance.now() - startMs) / 1000);
          assert.ok(bitsPerSecond < 5e6, `${from.name} to ${to.name}: ${Math.round(bitsPerSecond)} bit/s`);
        }
      },
    );
    for (const { node } of hosts) assert.deepEqual(await ground.leftovers(node), []);
  });

  it('does not lose its pods with the agent: one is made and one removed while it is away', async () => {
    const { node, cri } = host(0);
    const before = await cri.run({ name: 'before' });
    await node.agent.stop('SIGKILL');
    const meanwhile = await cri.run({ name: 'meanwhile' });
    const ping = await cri.exec(before, 'ping', '-c', '1', '-W', '2', meanwhile.addresses[0] ?? '');
    assert.equal(ping.status, 0, ping.stdout);
    await cri.stop(before);
    await cri.remove(before);
    await node.agent.start();
    await cri.stop(meanwhile);
    await cri.remove(meanwhile);
    assert.deepEqual(await ground.leftovers(node), []);
  });

  it('stops a pod twice, and one whose namespace somebody has taken away', async () => {
    const { node, cri } = host(0);
    const pod = await cri.run({ name: 'robbed' });
    await node.mustExec(['sh', '-c', 'for n in /run/netns/cni-*; do umount "$n" && rm "$n"; done']);
    await cri.stop(pod);
    await cri.stop(pod);
    await cri.remove(pod);
    assert.deepEqual(await ground.leftovers(node), []);
  });
});

const tcp = (hostPort: number, containerPort: number) => ({ protocol: 0, hostPort, containerPort }) as const;

const fileBytes = 500_000;

/** Serves a file of that many bytes on port 80 of a pod. */
async function serveFile(cri: Cri, pod: CriPod): Promise<void> {
  await cri.exec(pod, 'dd', 'if=/dev/zero', 'of=/www/file', `bs=${fileBytes}`, 'count=1');
  await cri.exec(pod, 'httpd', '-p', '80', '-h', '/www');
}
