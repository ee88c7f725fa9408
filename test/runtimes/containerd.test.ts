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
    ground = await RuntimeGround.raise('rt-containerd');
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
          portMappings: ports.map(([hostPort, containerPort]) => ({ protocol: 0, hostPort, containerPort })),
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
});
