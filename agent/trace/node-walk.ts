/** The node's part of the way to another node: route, neighbour and FDB entries, the outer route, size, firewalls. */
import { containsIp, firstIp, formatCidr } from '../../inet/cidr.ts';
import { formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import { linkByIndex, linkByName } from '../../kernel/link.ts';
import { runNft } from '../../kernel/nft/run.ts';
import { describeRoute, entryFor, wayTo } from '../../kernel/route.ts';
import { readSysctl } from '../../kernel/sysctl.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import { passagesFor } from '../doctor/desired-firewall.ts';
import type { DoctorHost } from '../doctor/host.ts';
import { dropsOfPort } from '../doctor/port-drops.ts';
import { planForeign } from '../firewall/foreign.ts';
import { surveyForeign } from '../firewall/survey.ts';
import { deviceName, hasTunnel } from '../overlay/device.ts';
import { podMtuBytes } from '../overlay/mtu.ts';
import type { Peer } from '../overlay/peer.ts';
import { hasUnderlay, type OverlayState } from '../overlay/state.ts';
import { type PeerEntries, peerEntries } from '../status/peer-entries.ts';
import { type Hop, passes, stops } from './hop.ts';

const putsBack = 'systemctl start weftd, which puts it back';

/** The peer whose subnet an address is in. */
export function peerOf(host: DoctorHost, address: Ip): { state: OverlayState; peer: Peer } | undefined {
  for (const state of (host.saved?.host.families ?? []).filter(hasUnderlay)) {
    const peer = state.peers.find(({ subnet }) => containsIp(subnet, address));
    if (peer) return { state, peer };
  }
  return undefined;
}

/** From this node's bridge to the peer's underlay address. */
export function walkNode(
  host: DoctorHost,
  { state, peer, target }: { state: OverlayState; peer: Peer; target: Ip },
): Hop[] {
  const entries = peerEntries(host.rtnl, state).find((each) => each.peer.key === peer.key);
  return [
    forwardingHop(state),
    ...firewallHops(host, state),
    routeHop(host, { state, peer, target, entries }),
    ...(entries?.way === 'vxlan' ? tunnelHops(host, { state, peer, entries }) : []),
    outerHop(host, { state, peer }),
    sizeHop(state, entries),
  ];
}

function forwardingHop({ network: { family }, backend, underlay }: OverlayState): Hop {
  const keys =
    family === 'ipv6'
      ? ['net/ipv6/conf/all/forwarding']
      : [
          'net/ipv4/ip_forward',
          ...[underlay.name, ...(hasTunnel(backend) ? [deviceName(family, backend.vni)] : [])].map(
            (name) => `net/ipv4/conf/${name}/forwarding`,
          ),
        ];
  const off = keys.find((key) => readSysctl(key) === '0');
  return off === undefined
    ? passes('forwarding', 'on')
    : stops('forwarding', `${off} is 0: pods are not routed`, `sysctl -w ${off}=1`);
}

/** Chains that end in a drop, and rules that name the tunnel's port. */
function firewallHops(host: DoctorHost, { backend }: OverlayState): Hop[] {
  const [closed] = planForeign(passagesFor(host), surveyForeign(host.nfnl)).keys();
  if (closed !== undefined)
    return [
      stops(
        'firewall',
        `${closed} drops or rejects what it does not know`,
        'systemctl start weftd, which adds a rule there',
      ),
    ];
  const [drop] = hasTunnel(backend)
    ? dropsOfPort(JSON.parse(runNft(['-j', 'list', 'ruleset'])), {
        port: backend.port,
        except: inetTable.table,
      })
    : [];
  if (drop)
    return [
      stops(
        'firewall',
        `${drop.chain} drops UDP port ${backend.port}`,
        `nft delete rule ${drop.chain} handle ${drop.handle}`,
      ),
    ];
  return [passes('firewall', 'no chain of others stops it')];
}

interface At {
  readonly state: OverlayState;
  readonly peer: Peer;
  readonly entries: PeerEntries | undefined;
}

function routeHop({ rtnl }: DoctorHost, { state, peer, target, entries }: At & { readonly target: Ip }): Hop {
  const name = 'route';
  const found = entryFor(rtnl, target);
  const subnet = formatCidr(peer.subnet);
  const fault = entries?.faults.find((each) => each.startsWith('route') || each.startsWith('device'));
  const seen = found
    ? `${describeRoute(found).replace(/ dev \d+$/, '')} dev ${linkName(rtnl, found.index)}`
    : 'none';
  if (fault !== undefined) return stops(name, `${fault}: ${subnet} leads to ${seen}`, putsBack);
  const device =
    entries?.way === 'vxlan' ? deviceName(peer.subnet.family, state.backend.vni) : state.underlay.name;
  if (found?.index !== linkByName(rtnl, device)?.index)
    return stops(
      name,
      `another route is taken: ${seen}, not dev ${device}`,
      `ip route del ${found ? formatCidr(found.destination) : subnet}`,
    );
  return passes(name, seen);
}

const linkName = (rtnl: DoctorHost['rtnl'], index: number | undefined): string =>
  index === undefined ? '-' : (linkByIndex(rtnl, index)?.name ?? String(index));

function tunnelHops({ rtnl }: DoctorHost, { state, peer, entries }: At): Hop[] {
  const device = deviceName(peer.subnet.family, state.backend.vni);
  const link = linkByName(rtnl, device);
  const faults = entries?.faults ?? [];
  const gateway = formatIp(firstIp(peer.subnet));
  const entry = (noun: string, text: string): Hop => {
    const fault = faults.find((each) => each.startsWith(noun));
    return fault === undefined ? passes(noun, text) : stops(noun, `${fault}: wanted ${text}`, putsBack);
  };
  if (!link) return [stops('device', `${device} is missing`, putsBack)];
  return [
    link.up
      ? passes('device', `${device}, up, MTU ${link.mtuBytes}`)
      : stops('device', `${device} is down`, `ip link set ${device} up`),
    entry('neighbour entry', `${gateway} at ${peer.vtepMac ?? '-'} dev ${device}`),
    entry('FDB entry', `${peer.vtepMac ?? '-'} to ${formatIp(peer.endpoint)}`),
  ];
}

function outerHop({ rtnl }: DoctorHost, { state, peer }: Pick<At, 'state' | 'peer'>): Hop {
  const way = wayTo(rtnl, peer.endpoint);
  const to = formatIp(peer.endpoint);
  if (!way || way.deadEnd)
    return stops('outer route', `no route to ${to} (${peer.name ?? peer.key})`, `ip route get ${to}`);
  const by = linkName(rtnl, way.index);
  if (way.index !== state.underlay.index)
    return stops(
      'outer route',
      `${to} is reached by ${by}, not by the underlay ${state.underlay.name}`,
      `ip route get ${to}`,
    );
  if (way.source && !sameIp(way.source, state.underlay.source ?? state.underlay.address.address)) {
    return passes('outer route', `${to} dev ${by} from ${formatIp(way.source)}`);
  }
  return passes('outer route', `${to}${way.gateway ? ` via ${formatIp(way.gateway)}` : ''} dev ${by}`);
}

function sizeHop(state: OverlayState, entries: PeerEntries | undefined): Hop {
  const full = podMtuBytes(state);
  return entries?.mtuBytes === undefined
    ? passes('MTU', `${full} bytes for pods, ${state.underlay.mtuBytes} on ${state.underlay.name}`)
    : passes(
        'MTU',
        `${entries.mtuBytes} bytes on this path, less than the ${full} of pods: the route says so to senders`,
      );
}
