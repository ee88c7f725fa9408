/** The interface that peers reach a node by, changed while the agent runs: leases follow, and with them the peers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { formatIp } from '../../inet/ip.ts';
import { run } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { readLeases } from '../../lab/leases.ts';
import { fabric, netnsName } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { cableLines, memberLines, plainAddress } from '../../lab/topology.ts';
import { eventually, labName, leftovers, SteadyPing } from './ground.ts';

const name = labName('underlay');
let lab: Lab;
let node: LabNode;

before(async () => {
  lab = await Lab.up({ name, families: ['ipv4', 'ipv6'] });
  node = lab.node('node-1');
  await Promise.all(lab.nodes.map((host) => lab.pod(host.name, `on-${host.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const sh = (on: LabNode, command: string): Promise<string> => on.mustExec(['sh', '-ec', command]);

/** node-1's end of the cable as the lab configured it, under whatever name. */
function configured(link: string): string {
  const member = lab.record.topology.nodes.find((each) => each.name === node.name);
  assert.ok(member);
  return memberLines(lab.record.topology, member)
    .filter((line) => !line.includes('dev lo') && !line.includes('set lo'))
    .map((line) => `ip ${line.replaceAll('eth0', link).replace(' add ', ' replace ')}`)
    .join('\n');
}

async function told(): Promise<string[]> {
  const leases = await readLeases(lab);
  // The node that is in nobody's topology any more is the one whose address is another.
  const others = lab.nodes.filter((each) => each !== node).flatMap(({ addresses }) => addresses);
  return leases
    .map(({ publicIps }) => publicIps.map(formatIp))
    .filter((ips) => !ips.some((ip) => others.includes(ip)))
    .flat();
}

const forwarding = (on: LabNode): Promise<string> =>
  sh(on, 'for d in weft.1 weft-v6.1; do bridge fdb show dev $d; done');

async function allReach(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
}

/** What happens to node-1 costs the other two nothing. */
async function bystandersLoseNothing(happen: () => Promise<void>): Promise<void> {
  const [b, c] = [lab.podNamed('on-node-2'), lab.podNamed('on-node-3')];
  const pings = c.addresses.map((address) => new SteadyPing(b, c, address));
  try {
    await happen();
  } finally {
    for (const ping of await Promise.all(pings.map((each) => each.end()))) assert.deepEqual(ping.lost, []);
  }
}

const mtuOf = async (on: LabNode, device: string): Promise<number> => {
  const [link] = (await on.json(['ip', '-j', 'link', 'show', device])) as { mtu: number }[];
  return link?.mtu ?? 0;
};

describe('a node whose underlay', () => {
  it('has another address is known to its peers by that one', async () => {
    const moved = node.addresses.map((address) => address.replace(/101$/, '77'));
    const replace = node.addresses.map((address, i) => {
      const length = address.includes(':') ? 64 : 24;
      return `ip address del ${address}/${length} dev eth0; ip address add ${moved[i]}/${length} dev eth0 nodad`;
    });
    const routes = configured('eth0')
      .split('\n')
      .filter((line) => line.includes('ip route'));
    await bystandersLoseNothing(async () => {
      await sh(node, [...replace, ...routes].join('\n'));
      await eventually(async () => assert.deepEqual(await told(), moved));
      await eventually(allReach);
      const peers = await forwarding(lab.node('node-2'));
      for (const address of moved) assert.ok(peers.includes(`dst ${address} `), peers);
      for (const address of node.addresses) assert.ok(!peers.includes(`dst ${address} `), peers);
      const back = node.addresses.map((address, i) => {
        const length = address.includes(':') ? 64 : 24;
        return `ip address del ${moved[i]}/${length} dev eth0; ip address add ${address}/${length} dev eth0 nodad`;
      });
      await sh(node, [...back, ...routes].join('\n'));
      await eventually(async () => assert.deepEqual(await told(), node.addresses));
      await eventually(allReach);
    });
  });

  it('gets one address more keeps the one that peers know', async () => {
    await bystandersLoseNothing(async () => {
      await sh(
        node,
        'ip address add 192.168.188.55/24 dev eth0; ip address add fd00:192:168:188::55/64 dev eth0 nodad',
      );
      await allReach();
      assert.deepEqual(await told(), node.addresses);
      await sh(
        node,
        'ip address del 192.168.188.55/24 dev eth0; ip address del fd00:192:168:188::55/64 dev eth0',
      );
      await allReach();
    });
  });

  it('has another MTU has devices and new pods that fit, and back', async () => {
    const subnetFile = () => readFileSync(node.path('/run/weft/subnet.env'), 'utf8');
    await bystandersLoseNothing(async () => {
      await sh(node, 'ip link set eth0 mtu 1400');
      await eventually(async () => {
        assert.deepEqual([await mtuOf(node, 'weft.1'), await mtuOf(node, 'weft-v6.1')], [1350, 1330]);
        assert.match(subnetFile(), /^FLANNEL_MTU=1330$/m);
      });
      await allReach();
      await sh(node, 'ip link set eth0 mtu 1500');
      await eventually(async () => {
        assert.deepEqual([await mtuOf(node, 'weft.1'), await mtuOf(node, 'weft-v6.1')], [1450, 1430]);
        assert.match(subnetFile(), /^FLANNEL_MTU=1430$/m);
      });
    });
  });

  it('is renamed goes on under the other name', async () => {
    await bystandersLoseNothing(async () => {
      await sh(node, `ip link set eth0 down; ip link set eth0 name ens5; ${configured('ens5')}`);
      await eventually(allReach);
      assert.match(await sh(node, 'ip -d -o link show weft.1'), /dev ens5/);
      await sh(node, `ip link set ens5 down; ip link set ens5 name eth0; ${configured('eth0')}`);
      await eventually(allReach);
    });
  });

  it('is deleted and made anew has its devices made anew on it', async () => {
    const member = lab.record.topology.nodes.find((each) => each.name === node.name);
    assert.ok(member);
    await bystandersLoseNothing(async () => {
      await sh(node, 'ip link del eth0');
      await eventually(async () => assert.equal(await sh(node, 'ip -o link show type vxlan'), ''));
      const cable = await run(['ip', '-n', netnsName(name, fabric), '-batch', '-'], {
        input: cableLines(lab.record.topology, member).join('\n'),
      });
      assert.equal(cable.status, 0, cable.stderr);
      await sh(node, configured('eth0'));
      await eventually(allReach);
      assert.deepEqual(await told(), node.addresses);
    });
    assert.deepEqual(member.addresses.map(plainAddress), node.addresses);
  });
});
