/**
 * Whatever is lost of what weft has in a node's kernel comes back by itself, and who was not concerned loses
 * nothing: the rows of docs/self-healing.md, in both families.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Family } from '../../inet/ip.ts';
import { type Damage, damages, damageVariables, shellOn } from '../../lab/damage.ts';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { familyOf } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { world } from '../../lab/topology.ts';
import { labName, leftovers, SteadyPing } from './ground.ts';

/** Far above what it takes, for machines that are busy with other things. */
const backWithinMs = 5000;

const name = labName('damage');
let lab: Lab;
let one: LabNode;

before(async () => {
  lab = await Lab.up({ name, families: ['ipv4', 'ipv6'] });
  one = lab.node('node-1');
  const pods = { a: 'node-1', sibling: 'node-1', b: 'node-2', c: 'node-3' };
  await Promise.all(Object.entries(pods).map(([pod, host]) => lab.pod(host, pod)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

function addressOf(pod: LabPod, family: Family): string {
  const address = pod.addresses.find((candidate) => familyOf(candidate) === family);
  assert.ok(address, `${pod.name} has an ${family} address`);
  return address;
}

/** Pings until there is an answer. */
async function answered(from: LabPod, address: string): Promise<void> {
  for (const since = performance.now(); ; ) {
    const { status } = await from.exec(['ping', '-n', '-c', '1', '-W', '0.3', address]);
    if (status === 0) return;
    assert.ok(performance.now() - since < backWithinMs, `${from.name} does not reach ${address} again`);
  }
}

async function repaired(node: LabNode, commands: string, variables: Record<string, string>): Promise<void> {
  for (const since = performance.now(); ; await delay(20)) {
    if ((await shellOn(node, commands, variables)).status === 0) return;
    assert.ok(performance.now() - since < backWithinMs, `still not so: ${commands}`);
  }
}

/** Between whom packets pass that the damage does not concern. */
const bystanders: Readonly<Record<Damage['concerns'], readonly (readonly [string, string])[]>> = {
  peer: [
    ['a', 'sibling'],
    ['a', 'c'],
    ['b', 'c'],
  ],
  node: [['b', 'c']],
  peerNode: [
    ['a', 'sibling'],
    ['a', 'c'],
  ],
  world: [
    ['a', 'sibling'],
    ['a', 'c'],
    ['a', 'b'],
  ],
};

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`a node that loses (${family})`, () => {
    for (const [what, { commands, concerns, seen, undo }] of Object.entries(damages)) {
      it(`${what}: has it back`, async () => {
        const [a, b, c] = ['a', 'b', 'c'].map((pod) => lab.podNamed(pod));
        assert.ok(a && b && c);
        const [node, peer] = concerns === 'peerNode' ? [lab.node('node-2'), one] : [one, lab.node('node-2')];
        const variables = await damageVariables({ lab, node, peer, family });
        const pings = bystanders[concerns].map(([from, to]) => {
          const target = lab.podNamed(to);
          return new SteadyPing(lab.podNamed(from), target, addressOf(target, family));
        });
        try {
          const { status, stderr } = await shellOn(node, commands, variables);
          assert.equal(status, 0, stderr);
          if (seen) await repaired(node, seen, variables);
          const allAnswer = async () => {
            await answered(a, addressOf(b, family));
            await answered(b, addressOf(a, family));
            await answered(a, addressOf(c, family));
            await answered(a, world[family]);
          };
          await allAnswer();
          if (undo) {
            const undone = await shellOn(node, undo, variables);
            assert.equal(undone.status, 0, undone.stderr);
            await allAnswer();
          }
        } finally {
          for (const ping of pings)
            assert.deepEqual((await ping.end()).lost, [], 'pings of who is not concerned');
        }
      });
    }
  });
}
