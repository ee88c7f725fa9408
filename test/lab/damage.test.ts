/**
 * Whatever is lost of what weft has in a node's kernel comes back by itself, and who was not concerned loses
 * nothing: the rows of docs/self-healing.md, in both families.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { firstIp, formatCidr } from '../../inet/cidr.ts';
import { type Family, formatIp } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { readLeases } from '../../lab/leases.ts';
import type { LabNode } from '../../lab/node.ts';
import { familyOf } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { world } from '../../lab/topology.ts';
import { labName, leftovers, SteadyPing } from './ground.ts';

/** Far above what it takes, for machines that are busy with other things. */
const backWithinMs = 5000;

const name = labName('damage');
let lab: Lab;
let node: LabNode;

before(async () => {
  lab = await Lab.up({ name, families: ['ipv4', 'ipv6'], withoutAgents: true });
  // One after the other, so that node-1 has the first subnet.
  for (const { agent } of lab.nodes) await agent.start();
  node = lab.node('node-1');
  const pods = { a: 'node-1', sibling: 'node-1', b: 'node-2', c: 'node-3' };
  await Promise.all(Object.entries(pods).map(([pod, host]) => lab.pod(host, pod)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const devices = { ipv4: 'weft.1', ipv6: 'weft-v6.1' } as const;

function addressOf(pod: LabPod, family: Family): string {
  const address = pod.addresses.find((candidate) => familyOf(candidate) === family);
  assert.ok(address, `${pod.name} has an ${family} address`);
  return address;
}

const gatewayOf = (address: string): string => address.replace(/\d+\/\d+$/, '1');

/** What damages are written with. */
async function variablesOf(family: Family): Promise<Record<string, string>> {
  const peer = (await readLeases(lab)).find((lease) => lease.node === 'node-2');
  const subnet = peer?.subnets.find((candidate) => candidate.family === family);
  const configured = lab.record.topology.nodes.find((member) => member.name === node.name)?.addresses ?? [];
  const own = configured.find((address) => familyOf(address) === family);
  const endpoint = peer?.publicIps.find((candidate) => candidate.family === family);
  assert.ok(peer && subnet && endpoint && own);
  const { vtepMac, vtepMac6 } = peer.backend;
  return {
    family: family === 'ipv4' ? '-4' : '-6',
    device: devices[family],
    subnet: formatCidr(subnet),
    end: formatIp(firstIp(subnet)),
    endpoint: formatIp(endpoint),
    mac: (family === 'ipv4' ? vtepMac : vtepMac6) ?? '',
    own,
    gateway: gatewayOf(own),
    configure: configured
      .map(
        (address) =>
          `ip address replace ${address} dev eth0 nodad; ip route replace default via ${gatewayOf(address)}`,
      )
      .join('; '),
    forwarding: family === 'ipv4' ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding',
  };
}

interface Row {
  /** Run on node-1. */
  readonly damage: string;
  /** Whom it may concern: packets between node-1 and node-2, all of node-1's, or those to the world outside. */
  readonly concerns: 'peer' | 'node' | 'world';
  /** A command that fails for as long as it is not repaired, where packets alone do not show it. */
  readonly seen?: string;
}

const rows: Record<string, Row> = {
  'a route': { concerns: 'peer', damage: 'ip $family route del $subnet' },
  'a route that another program leads elsewhere': {
    concerns: 'peer',
    damage: 'ip $family route change $subnet dev lo proto 87',
  },
  'a neighbour': { concerns: 'peer', damage: 'ip neigh del $end dev $device' },
  'a neighbour with a wrong MAC': {
    concerns: 'peer',
    damage: 'ip neigh replace $end lladdr 02:00:00:00:00:99 dev $device',
  },
  'a forwarding entry': { concerns: 'peer', damage: 'bridge fdb del $mac dev $device dst $endpoint' },
  'a forwarding entry that leads elsewhere': {
    concerns: 'peer',
    damage: 'bridge fdb replace $mac dev $device dst $gateway',
  },
  'the device': { concerns: 'node', damage: 'ip link del $device' },
  'the device, set down': { concerns: 'node', damage: 'ip link set $device down' },
  'the device, down and up': {
    concerns: 'node',
    damage: 'ip link set $device down; ip link set $device up',
  },
  'the device’s MAC': { concerns: 'node', damage: 'ip link set $device address 02:00:00:00:00:77' },
  'the device’s MTU': {
    concerns: 'node',
    damage: 'ip link set $device mtu 1280',
    seen: '! ip link show $device | grep -q "mtu 1280"',
  },
  'the device’s addresses': {
    concerns: 'node',
    damage: 'ip $family address flush dev $device scope global',
    seen: 'ip $family -o address show dev $device scope global | grep -q inet',
  },
  'the bridge’s address': { concerns: 'node', damage: 'ip $family address flush dev cni0 scope global' },
  'the bridge, set down': { concerns: 'node', damage: 'ip link set cni0 down' },
  'the bridge': { concerns: 'node', damage: 'ip link del cni0' },
  'the bridge’s MAC': {
    concerns: 'node',
    damage: 'ip link show cni0 | grep -o "ether [^ ]*" >/run/mac; ip link set cni0 address 02:00:00:00:00:55',
    seen: 'ip link show cni0 | grep -qf /run/mac',
  },
  forwarding: { concerns: 'node', damage: 'sysctl -qw $forwarding=0' },
  'the firewall’s rules, flushed': {
    concerns: 'world',
    damage: 'nft flush ruleset',
    seen: 'nft list table inet weft | grep -q masquerade',
  },
  // An interface that goes down loses its IPv6 addresses and its routes: whoever configures it puts them back.
  'the underlay, down and up': {
    concerns: 'node',
    damage: 'ip link set eth0 down; ip link set eth0 up; eval "$configure"',
  },
  'the underlay’s address, gone and back': {
    concerns: 'node',
    damage: 'ip address del $own dev eth0; sleep 0.2; eval "$configure"',
  },
};

const shell = async (command: string, family: Family) =>
  node.exec(['sh', '-c', command], { env: { ...process.env, ...(await variablesOf(family)) } });

/** Pings until there is an answer; returns how long that took, or fails. */
async function answered(from: LabPod, address: string): Promise<void> {
  const since = performance.now();
  for (;;) {
    const { status } = await from.exec(['ping', '-n', '-c', '1', '-W', '0.3', address]);
    if (status === 0) return;
    assert.ok(performance.now() - since < backWithinMs, `${from.name} does not reach ${address} again`);
  }
}

async function repaired(command: string, family: Family): Promise<void> {
  const since = performance.now();
  while ((await shell(command, family)).status !== 0) {
    assert.ok(performance.now() - since < backWithinMs, `still not so: ${command}`);
    await delay(20);
  }
}

/** Who is not concerned. */
function bystanders(concerns: Row['concerns']): readonly (readonly [string, string])[] {
  switch (concerns) {
    case 'peer':
      return [
        ['a', 'sibling'],
        ['a', 'c'],
        ['b', 'c'],
      ];
    case 'node':
      return [['b', 'c']];
    case 'world':
      return [
        ['a', 'sibling'],
        ['a', 'c'],
        ['a', 'b'],
      ];
  }
}

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`a node that loses (${family})`, () => {
    for (const [what, { damage, concerns, seen }] of Object.entries(rows)) {
      it(`${what}: has it back`, async () => {
        const [a, b, c] = ['a', 'b', 'c'].map((pod) => lab.podNamed(pod));
        assert.ok(a && b && c);
        const pings = bystanders(concerns).map(([from, to]) => {
          const target = lab.podNamed(to);
          return new SteadyPing(lab.podNamed(from), target, addressOf(target, family));
        });
        try {
          const { status, stderr } = await shell(damage, family);
          assert.equal(status, 0, stderr);
          if (seen) await repaired(seen, family);
          await answered(a, addressOf(b, family));
          await answered(b, addressOf(a, family));
          await answered(a, addressOf(c, family));
          await answered(a, world[family]);
        } finally {
          for (const ping of pings)
            assert.deepEqual((await ping.end()).lost, [], 'pings of who is not concerned');
        }
      });
    }
  });
}
