/** A node's life on a real cluster: what ends, is away, upgraded, drained, deleted, under pods that go on. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eachInParallel } from '../../lab/command.ts';
import { manifestNamespace } from '../../lab/kubernetes/manifest.ts';
import { eventually, whilePinging } from '../lab/ground.ts';
import { ClusterFixture, type ClusterPod } from './fixture.ts';
import { daemonSet, deployment, pod } from './objects.ts';

describe('life of a node in Kubernetes', () => {
  let fixture: ClusterFixture;
  let steady: ClusterPod[] = [];

  before(async () => {
    fixture = await ClusterFixture.raise('kube-life');
    await fixture.applyWeft();
    await fixture.apply(daemonSet('steady'));
    steady = await fixture.rolledOut('daemonset', 'steady');
  });
  after(() => fixture?.raze());

  const podOn = (node: string): ClusterPod => {
    const found = steady.find((candidate) => candidate.node.name === node);
    assert.ok(found, node);
    return found;
  };
  const pair = (): [ClusterPod, ClusterPod] => [podOn('node-1'), podOn('node-2')];
  const inWeft = (...args: readonly string[]): Promise<string> =>
    fixture.kubectl(['-n', manifestNamespace, ...args]);
  const generation = async (): Promise<number> =>
    (await fixture.get<{ metadata: { generation: number } }>('daemonset', 'weft', '-n', manifestNamespace))
      .metadata.generation;

  it('agent pods deleted: no ping between running pods is lost, and new pods become ready', async () => {
    await whilePinging(pair(), async () => {
      await inWeft('delete', 'pod', '--all', '--wait');
      await fixture.apply(pod({ name: 'meanwhile', node: 'node-3' }));
      await fixture.weftRolledOut();
      const [meanwhile] = await fixture.ready('meanwhile');
      await podOn('node-1').ping(meanwhile?.addresses[0] ?? '');
    });
  });

  it('agent killed: the kubelet restarts the container, and no ping is lost', async () => {
    await whilePinging(pair(), async () => {
      const kill =
        'pid=$(ctr -n k8s.io tasks ls | awk \'{print $2}\' | while read p; do grep -qs weftd "/proc/$p/cmdline" && echo $p; done); kill -KILL $pid';
      await fixture.node('node-2').mustExec(['sh', '-c', kill]);
      await eventually(async () => {
        const { items } = await fixture.get<{ items: AgentPod[] }>('pods', '-n', manifestNamespace);
        const agent = items.find(({ spec }) => spec.nodeName === 'node-2');
        assert.ok((agent?.status.containerStatuses[0]?.restartCount ?? 0) > 0);
        assert.ok(agent?.status.containerStatuses[0]?.ready);
      }, 60_000);
    });
  });

  it('rolling update and its rollback under load: no ping is lost, and every pod created meanwhile becomes ready', async () => {
    const before = await generation();
    await whilePinging(pair(), async () => {
      const env = ['set', 'env', 'daemonset/weft', 'WEFT_RELEASE=next'];
      await inWeft(...env);
      await fixture.apply(deployment('load', 6));
      await fixture.weftRolledOut();
      await fixture.rolledOut('deployment', 'load');
      await inWeft('rollout', 'undo', 'daemonset/weft');
      await fixture.kubectl(['rollout', 'restart', 'deployment/load']);
      await fixture.weftRolledOut();
      const load = await fixture.rolledOut('deployment', 'load');
      for (const { addresses } of load) await podOn('node-1').ping(addresses[0] ?? '');
    });
    assert.ok((await generation()) >= before + 2);
    await fixture.kubectl(['delete', 'deployment', 'load', '--wait']);
  });

  it('two releases side by side: pods on both sides reach each other', async () => {
    await inWeft(
      'patch',
      'daemonset',
      'weft',
      '-p',
      '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}',
    );
    await inWeft('set', 'env', 'daemonset/weft', 'WEFT_RELEASE=other');
    await whilePinging(pair(), async () => {
      await inWeft('delete', 'pod', '--field-selector', 'spec.nodeName=node-1', '--wait');
      await eventually(async () => {
        const { items } = await fixture.get<{ items: AgentPod[] }>('pods', '-n', manifestNamespace);
        assert.ok(
          items.every(({ status }) => status.containerStatuses?.[0]?.ready),
          'all agents ready',
        );
        assert.equal(items.length, 3);
      }, 60_000);
    });
    await inWeft('rollout', 'undo', 'daemonset/weft');
    await inWeft('delete', 'pod', '--field-selector', 'spec.nodeName=node-1', '--wait');
    await inWeft('patch', 'daemonset', 'weft', '-p', '{"spec":{"updateStrategy":{"type":"RollingUpdate"}}}');
    await fixture.weftRolledOut();
  });

  it('API server away: pings go on, and a sandbox that ends is created again', async () => {
    await fixture.apply(pod({ name: 'restarted', node: 'node-3' }));
    const [restarted] = await fixture.ready('restarted');
    assert.ok(restarted);
    const { apiserver } = fixture.cluster.controlPlane;
    const node = fixture.node('node-3');
    const sandboxes = async (): Promise<string[]> =>
      (await node.mustExec(['sh', '-c', 'echo /run/netns/cni-*'])).trim().split(' ');
    const before = await sandboxes();
    await whilePinging(pair(), async () => {
      await apiserver.stop('SIGKILL');
      try {
        await node.mustExec([
          'sh',
          '-c',
          `for id in $(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.pod.name"==restarted'); do ctr -n k8s.io tasks kill --signal SIGKILL $id || true; done`,
        ]);
        await eventually(async () => {
          const now = await sandboxes();
          assert.ok(!now.includes(restarted.netns ?? ''), 'the old namespace is gone');
          assert.equal(now.length, before.length);
        }, 60_000);
      } finally {
        await apiserver.start();
      }
    });
    await eventually(
      async () => podOn('node-1').ping((await fixture.pod('restarted')).addresses[0] ?? ''),
      60_000,
    );
  });

  it('cordon and drain: the pods move, the agent stays, and after uncordon the node has pods again', async () => {
    await fixture.apply(deployment('moved', 4));
    await fixture.rolledOut('deployment', 'moved');
    await fixture.kubectl(['drain', 'node-3', '--ignore-daemonsets', '--force', '--timeout=60s']);
    const moved = await fixture.rolledOut('deployment', 'moved');
    assert.ok(moved.every(({ node }) => node.name !== 'node-3'));
    await eachInParallel(moved, 4, (one) => podOn('node-3').ping(one.addresses[0] ?? ''));
    await fixture.kubectl(['uncordon', 'node-3']);
    await fixture.apply(pod({ name: 'after', node: 'node-3' }));
    await fixture.ready('after');
  });
});

interface AgentPod {
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly containerStatuses: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}
