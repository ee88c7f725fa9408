/** weft.yaml read again on SIGHUP: what it says holds from then on, and no packet between pods is lost. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { eventually, labName, leftovers, reconfigure, SteadyPing } from './ground.ts';

const name = labName('reload');
let lab: Lab;

before(async () => {
  lab = await Lab.up({
    name,
    nodes: 2,
    families: ['ipv4', 'ipv6'],
    configuration: { probes: { period: '1s', failureThreshold: 2 } },
  });
  await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `on-${node.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const sh = (node: LabNode, command: string): Promise<string> => node.mustExec(['sh', '-c', command]);

/** Pings both ways in both families while something happens; none may be lost. */
async function lossless(happen: () => Promise<void>): Promise<void> {
  const [a, b] = [lab.podNamed('on-node-1'), lab.podNamed('on-node-2')];
  const pings = [
    ...b.addresses.map((address) => new SteadyPing(a, b, address)),
    ...a.addresses.map((address) => new SteadyPing(b, a, address)),
  ];
  try {
    await happen();
  } finally {
    const ended = await Promise.all(pings.map((ping) => ping.end()));
    for (const { answered, lost: missing } of ended) {
      assert.deepEqual(missing, [], lab.nodes.map(({ agent }) => agent.log().slice(-3000)).join('\n'));
      assert.ok(answered > 0);
    }
  }
}

async function device(node: LabNode): Promise<{ mtu: number; index: number }> {
  const [link] = (await node.json(['ip', '-j', 'link', 'show', 'weft.1'])) as [
    { mtu: number; ifindex: number },
  ];
  return { mtu: link.mtu, index: link.ifindex };
}

describe('a node that is given another configuration', () => {
  it('has pods and device sized by another MTU at once, on the device that it had', async () => {
    const [node] = lab.nodes;
    assert.ok(node);
    const { index } = await device(node);
    await lossless(async () => {
      reconfigure([node], { backend: { type: 'vxlan', mtu: 1300 } });
      await eventually(async () => assert.deepEqual(await device(node), { mtu: 1300, index }));
      await eventually(() =>
        assert.match(readFileSync(node.path('/run/weft/subnet.env'), 'utf8'), /^FLANNEL_MTU=1300$/m),
      );
      reconfigure([node], { backend: { type: 'vxlan' } });
      await eventually(async () => assert.deepEqual(await device(node), { mtu: 1450, index }));
    });
  });

  it('masquerades, or does not, as it is told', async () => {
    const [node] = lab.nodes;
    assert.ok(node);
    const rules = () => sh(node, 'nft list table inet weft');
    await lossless(async () => {
      reconfigure([node], { masquerade: { except: ['198.51.100.0/24'] } });
      await eventually(async () => assert.match(await rules(), /ip daddr 198\.51\.100\.0\/24 return/));
      reconfigure([node], { masquerade: false });
      await eventually(async () => assert.doesNotMatch(await rules(), /masquerade fully-random/));
      await eventually(() =>
        assert.match(readFileSync(node.path('/run/weft/subnet.env'), 'utf8'), /FLANNEL_IPMASQ=false/),
      );
      reconfigure([node], { masquerade: true });
      await eventually(async () => assert.match(await rules(), /masquerade fully-random/));
    });
  });

  it('goes on with what it had where the new one is refused, and says why', async () => {
    const [node] = lab.nodes;
    assert.ok(node);
    await lossless(async () => {
      reconfigure([node], { backend: { type: 'carrier-pigeon' } });
      await eventually(() => assert.match(node.agent.log(), /config\.reloadFailed.*carrier-pigeon/));
      assert.equal((await device(node)).mtu, 1450);
      reconfigure([node], { backend: { type: 'vxlan' } });
    });
  });
});

/** Where the routes to other nodes' subnets lead, and our devices. */
async function tracks(node: LabNode): Promise<{ ways: string[]; devices: string[] }> {
  const routes = await sh(node, 'for f in -4 -6; do ip $f -o route show type unicast proto 87; done');
  const ways = [...routes.matchAll(/\/\d+ .*dev (\S+)/g)].map((match) => match[1] ?? '');
  const links = await sh(node, 'ip -o link show type vxlan');
  return { ways, devices: [...links.matchAll(/weft[^:@]*/g)].map(([device]) => device).toSorted() };
}

const vxlan = { ways: ['weft.1', 'weft-v6.1'], devices: ['weft-v6.1', 'weft.1'] };
const direct = { ways: ['eth0', 'eth0'], devices: [] };
const auto = { ways: ['eth0', 'eth0'], devices: ['weft-v6.1', 'weft.1'] };
const states = { vxlan, direct, auto };
type Backend = keyof typeof states;

/** All nodes at once, or one after the other: a cluster is never changed over in one moment. */
async function become(nodes: readonly LabNode[], type: Backend): Promise<void> {
  reconfigure(nodes, { backend: { type } });
  for (const node of nodes) await eventually(async () => assert.deepEqual(await tracks(node), states[type]));
}

describe('a cluster that changes its backend', () => {
  const orders: Record<string, Backend[]> = {
    '0': ['direct', 'vxlan'],
    '1': ['direct', 'vxlan', 'auto', 'direct', 'auto', 'vxlan'],
    '2': ['direct', 'vxlan'],
  };
  for (const [rpFilter, order] of Object.entries(orders)) {
    it(`${order.join(', ')}: loses no packet and leaves no device, with rp_filter ${rpFilter}`, async () => {
      for (const node of lab.nodes) {
        await sh(node, `for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo ${rpFilter} >$f; done`);
      }
      // A filter made strict is made loose where it has to be by the pass that follows.
      for (const type of order) await lossless(() => become(lab.nodes, type));
    });
  }

  it('one node after the other, too', async () => {
    const [first, second] = lab.nodes;
    assert.ok(first && second);
    for (const type of ['direct', 'vxlan'] as const) {
      await lossless(async () => {
        reconfigure([first], { backend: { type } });
        // Whoever has no tunnel is reached straight, whatever one's own backend.
        await eventually(async () => assert.deepEqual((await tracks(second)).ways, direct.ways));
        await become([first, second], type);
      });
    }
    const results = await lab.ping();
    assert.deepEqual(lost(results), [], formatMatrix(results));
  });
});
