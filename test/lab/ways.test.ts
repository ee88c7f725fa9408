/** Every backend, in every family, over one and over several underlay networks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Family } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { labName, withLab } from './ground.ts';

/** The way to a neighbour on the same layer-2 network, and to a node behind a router. */
interface Ways {
  readonly near: 'tunnel' | 'direct';
  readonly far: 'tunnel' | 'direct' | undefined;
}

const cases: { backend: string; families: readonly Family[]; subnets: number; ways: Ways }[] = [
  { backend: 'vxlan', families: ['ipv4'], subnets: 2, ways: { near: 'tunnel', far: 'tunnel' } },
  { backend: 'vxlan', families: ['ipv6'], subnets: 1, ways: { near: 'tunnel', far: undefined } },
  { backend: 'vxlan', families: ['ipv4', 'ipv6'], subnets: 2, ways: { near: 'tunnel', far: 'tunnel' } },
  { backend: 'direct', families: ['ipv4'], subnets: 1, ways: { near: 'direct', far: undefined } },
  { backend: 'direct', families: ['ipv4', 'ipv6'], subnets: 1, ways: { near: 'direct', far: undefined } },
  { backend: 'auto', families: ['ipv4'], subnets: 2, ways: { near: 'direct', far: 'tunnel' } },
  { backend: 'auto', families: ['ipv4', 'ipv6'], subnets: 2, ways: { near: 'direct', far: 'tunnel' } },
];

async function wayOf(lab: Lab, from: LabPod, to: LabPod, address: string): Promise<'tunnel' | 'direct'> {
  const hops = await lab.trace(from, to, address);
  return hops.some((hop) => /^weft(-v6)?\.1$/.test(hop.device)) ? 'tunnel' : 'direct';
}

/** A way is probed before it is trusted: until then it is the tunnel. The test's own timeout is the limit. */
async function assertWay(lab: Lab, pair: { from: string; to: string; way: Ways['near'] }): Promise<void> {
  const [from, to] = [lab.podNamed(pair.from), lab.podNamed(pair.to)];
  for (const address of to.addresses) {
    while ((await wayOf(lab, from, to, address)) !== pair.way) await delay(100);
  }
}

describe('pods on three nodes reach each other', () => {
  for (const { backend, families, subnets, ways } of cases) {
    const over = subnets === 1 ? 'one network' : `${subnets} networks`;
    it(`by ${backend}, ${families.join(' and ')}, over ${over}`, { timeout: 60_000 }, async () => {
      await withLab({ name: labName('ways'), backend, families, subnets }, async (lab) => {
        await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `pod-${node.name}`)));
        const results = await lab.ping();
        assert.equal(results.length, 9 * families.length);
        assert.deepEqual(lost(results), [], formatMatrix(results));
        // Nodes go to the networks in turn: node-1 and node-3 are neighbours where there are two.
        await assertWay(lab, { from: 'pod-node-1', to: 'pod-node-3', way: ways.near });
        if (ways.far) await assertWay(lab, { from: 'pod-node-1', to: 'pod-node-2', way: ways.far });
        assert.deepEqual(lost(await lab.ping()), [], 'after the way was chosen');
      });
    });
  }

  it('but not by direct over several networks, which is refused', async () => {
    await assert.rejects(
      Lab.up({ name: labName('refused'), backend: 'direct', subnets: 2 }),
      /--backend direct needs nodes on one layer-2 network, not on 2: use auto or vxlan, or --subnets 1$/,
    );
  });
});
