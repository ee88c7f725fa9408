/**
 * Drift: changes of a node's kernel state outside weft, as commands of `ip`, `bridge`, `sysctl` and `nft`. The tests
 * assert that weft repairs them; the benchmark measures how fast.
 */
import { firstIp, formatCidr } from '../inet/cidr.ts';
import { type Family, formatIp } from '../inet/ip.ts';
import type { Outcome } from './command.ts';
import { LabError } from './errors.ts';
import type { Lab } from './lab.ts';
import { readLeases } from './leases.ts';
import type { LabNode } from './node.ts';
import { familyOf } from './ping.ts';

export interface Damage {
  /** Run by `sh` on the node, with the variables of `damageNode`. */
  readonly commands: string;
  /**
   * Which packets may be lost: those between node-1 and node-2 (`peer`), all of node-1 (`node`), those to outside the
   * cluster (`world`), or all of node-2 (`peerNode`: the commands run there).
   */
  readonly concerns: 'peer' | 'node' | 'world' | 'peerNode';
  /** The commands end the cause themselves: the time is measured from their end. */
  readonly lasts?: true;
  /** Restores what the commands change permanently; run after weft has adapted to the change. */
  readonly undo?: string;
  /** A command that fails until the repair, where lost packets alone do not show it. */
  readonly seen?: string;
}

export const damages: Readonly<Record<string, Damage>> = {
  'a route': { concerns: 'peer', commands: 'ip $family route del $subnet' },
  'a route that another program leads elsewhere': {
    concerns: 'peer',
    commands: 'ip $family route change $subnet dev lo proto 87',
  },
  'a neighbour': { concerns: 'peer', commands: 'ip neigh del $end dev $device' },
  'a neighbour with a wrong MAC': {
    concerns: 'peer',
    commands: 'ip neigh replace $end lladdr 02:00:00:00:00:99 dev $device',
  },
  'a forwarding entry': { concerns: 'peer', commands: 'bridge fdb del $mac dev $device dst $endpoint' },
  'a forwarding entry that leads elsewhere': {
    concerns: 'peer',
    commands: 'bridge fdb replace $mac dev $device dst $gateway',
  },
  'the device': { concerns: 'node', commands: 'ip link del $device' },
  'the device, set down': { concerns: 'node', commands: 'ip link set $device down' },
  'the device, down and up': {
    concerns: 'node',
    commands: 'ip link set $device down; ip link set $device up',
  },
  "the device's MAC": { concerns: 'node', commands: 'ip link set $device address 02:00:00:00:00:77' },
  "a peer's MAC": {
    concerns: 'peerNode',
    commands: 'ip link set $device address 02:00:00:00:00:78',
  },
  "the device's MTU": {
    concerns: 'node',
    commands: 'ip link set $device mtu 1280',
    seen: '! ip link show $device | grep -q "mtu 1280"',
  },
  "the device's addresses": {
    concerns: 'node',
    commands: 'ip $family address flush dev $device scope global',
    seen: 'ip $family -o address show dev $device scope global | grep -q inet',
  },
  "the bridge's address": { concerns: 'node', commands: 'ip $family address flush dev cni0 scope global' },
  'the bridge, set down': { concerns: 'node', commands: 'ip link set cni0 down' },
  'the bridge': { concerns: 'node', commands: 'ip link del cni0' },
  "the bridge's MAC": {
    concerns: 'node',
    commands:
      'ip link show cni0 | grep -o "ether [^ ]*" >/run/mac; ip link set cni0 address 02:00:00:00:00:55',
    seen: 'ip link show cni0 | grep -qf /run/mac',
  },
  forwarding: { concerns: 'node', commands: 'sysctl -qw $forwarding=0' },
  "the firewall's rules, flushed": {
    concerns: 'world',
    commands: 'nft flush ruleset',
    seen: 'nft list table inet weft | grep -q masquerade',
  },
  // An interface that goes down loses its IPv6 addresses and its routes, so the commands configure it again.
  'the underlay, down and up': {
    concerns: 'node',
    lasts: true,
    commands: 'ip link set eth0 down; ip link set eth0 up; eval "$configure"',
  },
  "the underlay's address, gone and back": {
    concerns: 'node',
    lasts: true,
    commands: 'ip address del $own dev eth0; sleep 0.2; eval "$configure"',
  },
  "the underlay's address, for another": {
    concerns: 'node',
    lasts: true,
    commands:
      'ip address del $own dev eth0; ip address add $other dev eth0 nodad; ip route replace default via $gateway',
    undo: 'ip address del $other dev eth0; ip address add $own dev eth0 nodad; ip route replace default via $gateway',
  },
};

const devices = { ipv4: 'weft.1', ipv6: 'weft-v6.1' } as const;

const gatewayOf = (address: string): string => address.replace(/\d+\/\d+$/, '1');

/** One that no node has (their hosts begin at 101, members of etcd at 11). */
const spareOf = (address: string): string => address.replace(/\d+(\/\d+)$/, '99$1');

/** The variables of the commands, for a node and one of its peers. */
export async function damageVariables(request: {
  lab: Lab;
  node: LabNode;
  peer: LabNode;
  family: Family;
}): Promise<Record<string, string>> {
  const { lab, node, peer, family } = request;
  const lease = (await readLeases(lab)).find((candidate) => candidate.node === peer.name);
  const subnet = lease?.subnets.find((candidate) => candidate.family === family);
  const endpoint = lease?.publicIps.find((candidate) => candidate.family === family);
  const configured = lab.record.topology.nodes.find((member) => member.name === node.name)?.addresses ?? [];
  const own = configured.find((address) => familyOf(address) === family);
  if (!lease || !subnet || !endpoint || !own) throw new LabError(`${peer.name} has no ${family} lease`);
  const { vtepMac, vtepMac6 } = lease.backend;
  return {
    family: family === 'ipv4' ? '-4' : '-6',
    device: devices[family],
    subnet: formatCidr(subnet),
    end: formatIp(firstIp(subnet)),
    endpoint: formatIp(endpoint),
    mac: (family === 'ipv4' ? vtepMac : vtepMac6) ?? '',
    own,
    other: spareOf(own),
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

/** Runs commands on a node, with variables. */
export const shellOn = (
  node: LabNode,
  commands: string,
  variables: Readonly<Record<string, string>>,
): Promise<Outcome> => node.exec(['sh', '-c', commands], { env: { ...process.env, ...variables } });
