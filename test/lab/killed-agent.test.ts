/** Pods come and go while the agent is killed again and again: no call is lost that somebody could have served. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { labName, withLab } from './ground.ts';

const weft = fileURLToPath(new URL('../../../dist/cni/weft', import.meta.url));
const configuration = JSON.stringify({ cniVersion: '1.0.0', name: 'weft', type: 'weft' });
const ROUNDS = 6;
/** At least so many ADDs and DELs; more for who asks: WEFT_KILLED_PAIRS=1000. */
const PAIRS = Number(process.env.WEFT_KILLED_PAIRS ?? 30);
const PODS = ['p0', 'p1', 'p2'];

const call = (node: LabNode, verb: string, pod: string): Promise<Outcome> =>
  node.exec(['sh', '-c', `printf %s '${configuration}' | ${weft}`], {
    env: {
      ...process.env,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod,
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
    },
  });

/** ADD then DEL of one pod, until told to stop. What a runtime would try again, it tries again. */
async function churn(node: LabNode, pod: string, churned: { pairs: number; over: boolean }): Promise<number> {
  let pairs = 0;
  while (!churned.over) {
    const add = await call(node, 'ADD', pod);
    // The agent had read the request when it was killed: nobody can know what it did.
    if (add.status !== 0) assert.equal(JSON.parse(add.stdout).code, 11, add.stdout);
    const del = await call(node, 'DEL', pod);
    assert.deepEqual([del.status, del.stdout], [0, '']);
    pairs++;
    churned.pairs++;
  }
  return pairs;
}

const filesIn = (node: LabNode, folder: string): string[] => {
  try {
    return readdirSync(node.path(folder));
  } catch {
    return []; // nothing was ever left there
  }
};

it('an agent that is killed at random leaves nothing behind and fails no call for good', async () => {
  await withLab({ name: labName('killed'), nodes: 1 }, async (lab) => {
    const node = lab.node('node-1');
    for (const pod of PODS) await node.mustExec(['ip', 'netns', 'add', pod]);
    const churned = { pairs: 0, over: false };
    const churning = Promise.all(PODS.map((pod) => churn(node, pod, churned)));
    churning.catch(() => {}); // looked at below, and until then the agent goes on being killed
    for (let round = 0; round < ROUNDS || churned.pairs < PAIRS; round++) {
      await node.agent.stop('SIGKILL');
      await node.agent.start();
    }
    churned.over = true;
    const pairs = await churning;
    assert.ok(pairs.every((count) => count > 0));

    // What was promised is done at the latest by an agent that starts.
    await node.agent.stop();
    await node.agent.start();
    assert.deepEqual(filesIn(node, '/run/weft/tombstones'), []);
    assert.deepEqual(filesIn(node, '/run/weft/ipam/weft'), []);
    assert.deepEqual(filesIn(node, '/run/weft/attachments'), []);
    const links = await node.mustExec(['ip', '-o', 'link', 'show', 'type', 'veth']);
    assert.doesNotMatch(links, /weft:weft\//);
    for (const pod of PODS) {
      const inside = await node.mustExec(['ip', '-n', pod, '-o', 'link']);
      assert.equal(inside.trim().split('\n').length, 1, inside);
    }
  });
});
