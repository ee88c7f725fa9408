/** Three nodes, two pods on each: what flannel's documentation promises, read with plain `ip` and `bridge`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { firstIp, formatCidr, overlaps } from '../../inet/cidr.ts';
import { formatIp } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { type LabLease, readLeases } from '../../lab/leases.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost, pingAll } from '../../lab/ping.ts';
import { labName, leftovers, SteadyPing, twoPodsEach } from './ground.ts';

type Json = Record<string, unknown>;

const name = labName('overlay');
let lab: Lab;

before(async () => {
  lab = await Lab.up({ name });
  await twoPodsEach(lab);
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const leases = (): Promise<LabLease[]> => readLeases(lab);

interface NodeLease {
  readonly subnet: string;
  readonly base: string;
  readonly publicIp: string;
  readonly vtepMac: string;
}

async function leaseOf(node: LabNode): Promise<NodeLease> {
  const lease = (await leases()).find((candidate) => candidate.node === node.name);
  const [subnet, publicIp] = [lease?.subnets[0], lease?.publicIps[0]];
  assert.ok(subnet && publicIp && lease?.backend.vtepMac, `${node.name} holds a lease with a VTEP MAC`);
  return {
    subnet: formatCidr(subnet),
    base: formatIp(firstIp(subnet)),
    publicIp: formatIp(publicIp),
    vtepMac: lease.backend.vtepMac,
  };
}

const peersOf = (node: LabNode): Promise<NodeLease[]> =>
  Promise.all(lab.nodes.filter((other) => other !== node).map(leaseOf));

/** The rows that a program prints as JSON, each cut down to the keys of interest, in a stable order. */
async function rows(node: LabNode, argv: string[], keys: string[]): Promise<Json[]> {
  const all = (await node.json(argv)) as Json[];
  const cut = all.map((row) => Object.fromEntries(keys.map((key) => [key, row[key]])));
  return sorted(cut);
}

const sorted = (all: Json[]): Json[] =>
  all.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** Invariants that hold after whatever happened: I1, and I4 as far as the overlay goes. */
async function assertQuiet(): Promise<void> {
  const held = await leases();
  assert.equal(held.length, lab.nodes.length, 'a lease for each node');
  for (const [i, lease] of held.entries()) {
    for (const other of held.slice(i + 1)) {
      const pairs = lease.subnets.flatMap((a) => other.subnets.map((b) => [a, b] as const));
      assert.ok(!pairs.some(([a, b]) => overlaps(a, b)), `${lease.node} and ${other.node} overlap`);
    }
  }
  for (const node of lab.nodes) await assertKernelState(node);
}

/** What flannel's vxlan backend has in the kernel, one of each per peer, and nothing else of ours. */
async function assertKernelState(node: LabNode): Promise<void> {
  const peers = await peersOf(node);
  assert.deepEqual(
    await rows(
      node,
      ['ip', '-j', 'route', 'show', 'type', 'unicast', 'proto', '87'],
      ['dst', 'gateway', 'dev', 'flags'],
    ),
    sorted(
      peers.map(({ subnet, base }) => ({ dst: subnet, gateway: base, dev: 'weft.1', flags: ['onlink'] })),
    ),
  );
  assert.deepEqual(
    await rows(node, ['ip', '-j', 'neigh', 'show', 'dev', 'weft.1'], ['dst', 'lladdr', 'state']),
    sorted(peers.map(({ base, vtepMac }) => ({ dst: base, lladdr: vtepMac, state: ['PERMANENT'] }))),
  );
  assert.deepEqual(
    await rows(node, ['bridge', '-j', 'fdb', 'show', 'dev', 'weft.1'], ['mac', 'dst', 'flags', 'state']),
    sorted(
      peers.map(({ vtepMac, publicIp }) => ({
        mac: vtepMac,
        dst: publicIp,
        flags: ['self'],
        state: 'permanent',
      })),
    ),
  );
}

/** Packets that a device has sent and received. */
async function packets(node: LabNode, device: string): Promise<{ sent: number; received: number }> {
  const [link] = (await node.json(['ip', '-j', '-s', 'link', 'show', device])) as {
    stats64: { tx: { packets: number }; rx: { packets: number } };
  }[];
  return { sent: link?.stats64.tx.packets ?? 0, received: link?.stats64.rx.packets ?? 0 };
}

const pod = (podName: string) => lab.podNamed(podName);

async function pingsFine(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
}

describe('three nodes with two pods each', () => {
  it('reach each other: 36 of 36 pings', async () => {
    const results = await lab.ping();
    assert.equal(results.length, 36);
    assert.deepEqual(lost(results), [], formatMatrix(results));
  });

  it('are reached by every other node, and reach it', async () => {
    const elsewhere = { skip: (a: { host: string }, b: { host: string }) => a.host === b.host };
    const there = await pingAll({ sources: lab.nodes, targets: lab.pods(), ...elsewhere });
    const back = await pingAll({ sources: lab.pods(), targets: lab.nodes, ...elsewhere });
    assert.equal(there.length + back.length, 24);
    assert.deepEqual(lost([...there, ...back]), []);
  });

  it('have subnets that do not overlap, and the kernel state that flannel would have made', () =>
    assertQuiet());

  it('have a VXLAN device as flannel configures it', async () => {
    for (const node of lab.nodes) {
      const { base, publicIp, vtepMac } = await leaseOf(node);
      const [link] = (await node.json(['ip', '-j', '-d', 'link', 'show', 'weft.1'])) as [
        { mtu: number; address: string; linkinfo: { info_data: Json } },
      ];
      const { id, local, link: parent, port, learning } = link.linkinfo.info_data;
      assert.deepEqual(
        { mtu: link.mtu, mac: link.address, id, local, parent, port, learning },
        { mtu: 1450, mac: vtepMac, id: 1, local: publicIp, parent: 'eth0', port: 8472, learning: false },
      );
      const [address] = (await node.json(['ip', '-j', '-4', 'address', 'show', 'dev', 'weft.1'])) as [
        { addr_info: { local: string; prefixlen: number; broadcast?: string }[] },
      ];
      assert.deepEqual(
        address.addr_info.map(({ local: ip, prefixlen, broadcast }) => ({ ip, prefixlen, broadcast })),
        [{ ip: base, prefixlen: 32, broadcast: undefined }],
      );
    }
  });

  it('send a packet for another node through the tunnel, and one for a sibling not', async () => {
    const [a, b] = [lab.node('node-1'), lab.node('node-2')];
    const flood = ['ping', '-n', '-q', '-i', '0.002', '-c', '50'];
    const count = async () => ({ a: await packets(a, 'weft.1'), b: await packets(b, 'weft.1') });
    const before = await count();
    assert.equal((await pod('a-node-1').exec([...flood, pod('a-node-2').addresses[0] ?? ''])).status, 0);
    const remote = await count();
    for (const [node, device] of Object.entries(remote)) {
      const was = before[node as 'a' | 'b'];
      assert.ok(device.sent - was.sent >= 50, `${node} sent ${device.sent - was.sent}`);
      assert.ok(device.received - was.received >= 50, `${node} received ${device.received - was.received}`);
    }
    assert.equal((await pod('a-node-1').exec([...flood, pod('b-node-1').addresses[0] ?? ''])).status, 0);
    assert.ok((await packets(a, 'weft.1')).sent - remote.a.sent < 50);
  });

  it('pass the devices in the order in which they are drawn', async () => {
    const hops = await lab.trace(pod('a-node-1'), pod('b-node-3'));
    const [one, three] = await Promise.all([lab.node('node-1'), lab.node('node-3')].map(leaseOf));
    const tunnel = { vni: 1, source: one?.publicIp, destination: three?.publicIp };
    const way = hops.map((hop) => [
      hop.station,
      hop.device.replace(/^veth.*/, 'veth'),
      hop.direction,
      hop.tunnel,
    ]);
    assert.deepEqual(way, [
      ['pod a-node-1', 'eth0', 'out', undefined],
      ['node-1', 'veth', 'in', undefined],
      ['node-1', 'cni0', 'in', undefined],
      ['node-1', 'weft.1', 'out', undefined],
      ['node-1', 'eth0', 'out', tunnel],
      ['fabric', 'node-1', 'in', tunnel],
      ['fabric', 'node-3', 'out', tunnel],
      ['node-3', 'eth0', 'in', tunnel],
      ['node-3', 'weft.1', 'in', undefined],
      ['node-3', 'cni0', 'out', undefined],
      ['node-3', 'veth', 'out', undefined],
      ['pod b-node-3', 'eth0', 'in', undefined],
    ]);
  });

  it('lose every ping between nodes where the tunnel is gone and nobody mends it', async () => {
    const node = lab.node('node-1');
    await node.agent.stop('SIGKILL');
    await node.mustExec(['ip', 'link', 'delete', 'weft.1']);
    const results = await lab.ping();
    const crossing = results.filter(({ from, to }) => from.endsWith('node-1') !== to.endsWith('node-1'));
    assert.deepEqual(lost(results), crossing, formatMatrix(results));
    await node.agent.start();
    await pingsFine();
    await assertQuiet();
  });
});

describe('I6, running pods', () => {
  const events: [what: string, happen: (node: LabNode) => Promise<void>][] = [
    [
      'agent killed and started again',
      async ({ agent }) => {
        await agent.stop('SIGKILL');
        await agent.start();
      },
    ],
    [
      'agent stopped by SIGTERM and started again',
      async ({ agent }) => {
        await agent.stop('SIGTERM');
        await agent.start();
      },
    ],
    [
      'agent that hangs while another restarts',
      async ({ agent, name: node }) => {
        agent.signal('SIGSTOP');
        // Another node's agent restarts meanwhile: the one that hangs must not be needed for it.
        const other = lab.nodes.find((candidate) => candidate.name !== node);
        await other?.agent.stop('SIGTERM');
        await other?.agent.start();
        agent.signal('SIGCONT');
      },
    ],
  ];
  for (const [what, happen] of events) {
    it(`${what}: no packet is lost`, async () => {
      const [from, to] = [pod('a-node-1'), pod('a-node-2')];
      const before = await leases();
      const pings = [
        new SteadyPing(from, to),
        new SteadyPing(to, from),
        new SteadyPing(from, pod('b-node-1')),
      ];
      try {
        await happen(lab.node('node-1'));
      } finally {
        for (const ping of pings) {
          const { answered, lost: missing } = await ping.end();
          assert.ok(answered >= 20, `only ${answered} answers`);
          assert.deepEqual(missing, []);
        }
      }
      assert.deepEqual(await leases(), before, 'every node holds what it held');
      await assertQuiet();
    });
  }
});

describe('a cluster that changes', () => {
  it('has a node make its lost device again with the MAC that its peers know', async () => {
    const node = lab.node('node-2');
    const was = await leaseOf(node);
    await node.agent.stop('SIGTERM');
    await node.mustExec(['ip', 'link', 'delete', 'weft.1']);
    await node.agent.start();
    assert.deepEqual(await leaseOf(node), was, 'the MAC is kept on disk');
    await pingsFine();
    await assertQuiet();
  });

  it('has pods added and removed without a trace', async () => {
    const node = lab.node('node-3');
    const state = async () => [
      await rows(node, ['ip', '-j', 'link'], ['ifname']),
      await node.mustExec(['sh', '-c', 'ls /run/weft/ipam/weft /run/weft/attachments /run/netns']),
    ];
    const before = await state();
    const pods = await Promise.all(['x', 'y', 'z'].map((podName) => lab.pod('node-3', podName)));
    assert.equal(
      new Set(lab.pods().flatMap((each) => each.addresses)).size,
      lab.pods().length,
      'no address twice',
    );
    await pingsFine();
    for (const each of pods) await each.remove();
    assert.deepEqual(await state(), before);
  });
});
