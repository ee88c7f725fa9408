/** Agents and nodes that go and come back on a real cluster, under pods that go on or are made meanwhile. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, SteadyPing } from '../lab/ground.ts';
import { Agents } from './agents.ts';
import { ClusterFixture, type ClusterPod } from './fixture.ts';
import { daemonSet, deployment, pod } from './objects.ts';

const withinMs = 120_000;

describe('restarts in Kubernetes', () => {
  let fixture: ClusterFixture;
  let agents: Agents;
  let steady: ClusterPod[] = [];

  before(async () => {
    fixture = await ClusterFixture.raise('kube-restart');
    agents = new Agents(fixture);
    await fixture.applyWeft();
    // A node with the label has no agent.
    const expression = { matchExpressions: [{ key: 'agent-away', operator: 'DoesNotExist' }] };
    const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [expression] } };
    const spec = { template: { spec: { affinity: { nodeAffinity: required } } } };
    await agents.kubectl('patch', 'daemonset', 'weft', '-p', JSON.stringify({ spec }));
    await fixture.weftRolledOut();
    await fixture.apply(daemonSet('steady'));
    steady = await fixture.rolledOut('daemonset', 'steady');
  });
  after(() => fixture?.raze());

  const podOn = (node: string): ClusterPod => {
    const found = steady.find((candidate) => candidate.node.name === node);
    assert.ok(found, node);
    return found;
  };
  const address = ({ addresses }: ClusterPod): string => addresses[0] ?? '';

  it('rolling update: none of 10 000 pings at 1 ms is lost, and every pod made meanwhile is ready', async () => {
    const ping = new SteadyPing(podOn('node-1'), podOn('node-2'), undefined, 1);
    try {
      await agents.kubectl('set', 'env', 'daemonset/weft', 'WEFT_RELEASE=next');
      await fixture.apply(deployment('meanwhile', 6));
      await fixture.weftRolledOut();
      const made = await fixture.rolledOut('deployment', 'meanwhile');
      for (const one of made) await podOn('node-1').ping(address(one));
      await ping.answers(10_000);
    } finally {
      assert.deepEqual((await ping.end()).lost, []);
    }
    await fixture.kubectl(['delete', 'deployment', 'meanwhile', '--wait']);
  });

  it('agent away: a pod is deleted, one that is made waits, and has a network once the agent is back', async () => {
    await fixture.apply(pod({ name: 'doomed', node: 'node-2' }));
    const [doomed] = await fixture.ready('doomed');
    assert.ok(doomed?.netns);
    await fixture.kubectl(['label', 'node', 'node-2', 'agent-away=']);
    await eventually(async () => assert.equal(await agents.on('node-2'), undefined), withinMs);
    assert.match(await cniStatus(fixture, 'node-2'), /"code": ?(11|50)/);
    await fixture.kubectl(['delete', 'pod', 'doomed', '--wait', '--timeout=90s']);
    await fixture.apply(pod({ name: 'late', node: 'node-2' }));
    // Twice: the kubelet asks again.
    await eventually(async () => {
      const failed = 'reason=FailedCreatePodSandBox,involvedObject.name=late';
      const { items } = await fixture.get<{ items: { count?: number }[] }>(
        'events',
        '--field-selector',
        failed,
      );
      assert.ok(items.reduce((sum, { count }) => sum + (count ?? 1), 0) >= 2);
    }, withinMs);
    await podOn('node-1').ping(address(podOn('node-2')));
    await fixture.kubectl(['label', 'node', 'node-2', 'agent-away-']);
    await fixture.weftRolledOut();
    const [late] = await fixture.ready('late');
    assert.ok(late);
    await podOn('node-1').ping(address(late));
    assert.equal((await cniStatus(fixture, 'node-2')).trim(), '');
    await eventually(async () => {
      const left = await fixture
        .node('node-2')
        .mustExec(['sh', '-c', `ls -d ${doomed.netns} 2>/dev/null || true`]);
      assert.equal(left, '');
    });
    await fixture.kubectl(['delete', 'pod', 'late', '--wait']);
  });

  it('node that reboots: its pods run again, reachable from the others', async () => {
    const before = podOn('node-3');
    await fixture.cluster.worker('node-3').reboot();
    await eventually(async () => {
      const now = await fixture.pod(before.name);
      assert.notEqual(now.netns, before.netns);
      await podOn('node-1').ping(address(now));
    }, withinMs);
    steady = await fixture.rolledOut('daemonset', 'steady');
    await fixture.weftRolledOut();
    for (const from of steady) {
      for (const to of steady) await from.ping(address(to));
    }
    assert.equal(new Set(steady.map(address)).size, 3);
  });
});

/** What the plugin answers to STATUS, as a runtime asks it: nothing where pods can be made. */
async function cniStatus(fixture: ClusterFixture, node: string): Promise<string> {
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'weft', type: 'weft' });
  const { stdout } = await fixture
    .node(node)
    .exec(['env', 'CNI_COMMAND=STATUS', 'CNI_PATH=/opt/cni/bin', '/opt/cni/bin/weft'], { input: config });
  return stdout;
}
