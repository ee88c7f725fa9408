/** A pod's own part of the way: its interface, its route, its port on the bridge, the spoof check. */
import { formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import { addresses } from '../../kernel/address.ts';
import { type Link, linkByName } from '../../kernel/link.ts';
import { BR_STATE_FORWARDING } from '../../kernel/link-message.ts';
import { neighbours } from '../../kernel/neighbour.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { lookUp, nameOfElement } from '../../kernel/nft/element.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { wayTo } from '../../kernel/route.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { spoofElements } from '../../plugin/attach/spoof-check/sets.ts';
import { reasonOf } from '../../problem/reason.ts';
import { inPod } from '../doctor/in-pod.ts';
import { type Hop, passes, stops, unknown } from './hop.ts';

export interface Sockets {
  readonly rtnl: Rtnl;
  readonly nfnl: Nfnl;
}

export const nameOfPod = ({ pod, containerId }: Attachment): string =>
  pod.name === undefined ? containerId.slice(0, 12) : `${pod.namespace ?? 'default'}/${pod.name}`;

/** From the pod to the bridge and on it. `address`: the pod's own; `target`: where it sends, or answers. */
export function walkPod(
  sockets: Sockets,
  { pod, address, target }: { readonly pod: Attachment; readonly address: Ip; readonly target: Ip },
): Hop[] {
  return [
    podHop(sockets, pod, { address, target }),
    bridgeHop(sockets, pod, address),
    portHop(sockets, pod),
    ...spoofHops(sockets, pod),
  ];
}

function podHop(
  { rtnl: host }: Sockets,
  pod: Attachment,
  { address, target }: { readonly address: Ip; readonly target: Ip },
): Hop {
  const name = 'pod';
  const enter = `nsenter --net=${pod.netns}`;
  try {
    const hop = inPod(pod, (rtnl): Hop => {
      const own = linkByName(rtnl, pod.ifname);
      if (!own) return stops(name, `${pod.ifname} is missing in pod ${nameOfPod(pod)}`, 'make the pod again');
      if (!own.up)
        return stops(
          name,
          `${pod.ifname} is down in pod ${nameOfPod(pod)}`,
          `${enter} ip link set ${pod.ifname} up`,
        );
      if (!addresses(rtnl, { index: own.index }).some((each) => sameIp(each.address, address)))
        return stops(
          name,
          `${pod.ifname} of pod ${nameOfPod(pod)} has lost ${formatIp(address)}`,
          'make the pod again',
        );
      const way = wayTo(rtnl, target);
      if (!way)
        return stops(
          name,
          `pod ${nameOfPod(pod)} has no route to ${formatIp(target)}`,
          `${enter} ip route add default via GATEWAY`,
        );
      const wrong = staleGateway({ pod: rtnl, host }, way.gateway, pod);
      if (wrong !== undefined)
        return stops(
          name,
          `pod ${nameOfPod(pod)} has a stale neighbour entry of ${wrong}`,
          `${enter} ip neigh flush dev ${pod.ifname}`,
        );
      return passes(
        name,
        `${nameOfPod(pod)} ${formatIp(address)}${way.gateway ? ` via ${formatIp(way.gateway)}` : ''} dev ${pod.ifname}`,
      );
    });
    return hop ?? stops(name, `the namespace ${pod.netns} is another pod's now`, 'weftctl doctor --fix');
  } catch (error) {
    return unknown(name, `the pod's namespace cannot be entered: ${reasonOf(error)}`);
  }
}

/** The gateway's entry has a MAC that the bridge has not. */
function staleGateway(
  { pod: rtnl, host }: { readonly pod: Rtnl; readonly host: Rtnl },
  gateway: Ip | undefined,
  { bridge }: Attachment,
): string | undefined {
  if (!gateway) return undefined;
  const mac = linkByName(host, bridge)?.mac;
  const entry = neighbours(rtnl, { family: gateway.family }).find((each) => sameIp(each.address, gateway));
  return entry?.mac !== undefined && mac !== undefined && entry.mac !== mac
    ? `${formatIp(gateway)} (${entry.mac}; the bridge has ${mac})`
    : undefined;
}

function portHop({ rtnl }: Sockets, pod: Attachment): Hop {
  const { host, bridge } = pod;
  const port: Link | undefined = linkByName(rtnl, host.name);
  const remedy = 'systemctl restart weftd, which puts it back';
  if (!port) return stops('port', `${host.name} of pod ${nameOfPod(pod)} is missing`, 'make the pod again');
  if (!port.up) return stops('port', `${host.name} is down`, `ip link set ${host.name} up`);
  if (port.master !== linkByName(rtnl, bridge)?.index)
    return stops('port', `${host.name} is not on ${bridge}`, remedy);
  if (port.port && port.port.state !== BR_STATE_FORWARDING)
    return stops('port', `${host.name} does not forward yet on ${bridge}`);
  return passes('port', `${host.name} on ${bridge}`);
}

function bridgeHop({ rtnl }: Sockets, pod: Attachment, address: Ip): Hop {
  const { bridge: name } = pod;
  const bridge = linkByName(rtnl, name);
  const remedy = 'systemctl restart weftd, which puts it back';
  if (!bridge) return stops('bridge', `${name} is missing`, remedy);
  if (bridge.kind !== 'bridge')
    return stops(
      'bridge',
      `${name} is a ${bridge.kind ?? 'hardware'} link, not a bridge`,
      `ip link del ${name}`,
    );
  if (!bridge.up) return stops('bridge', `${name} is down`, `ip link set ${name} up`);
  const gateway = pod.addresses.find((each) => sameIp(each.address, address))?.gateway;
  if (gateway && !addresses(rtnl, { index: bridge.index }).some((each) => sameIp(each.address, gateway)))
    return stops('bridge', `${name} has no address ${formatIp(gateway)}, the pods' gateway`, remedy);
  const entry = neighbours(rtnl, { family: address.family, index: bridge.index }).find((each) =>
    sameIp(each.address, address),
  );
  if (entry?.mac !== undefined && entry.mac !== pod.container.mac)
    return stops(
      'bridge',
      `stale neighbour entry: ${formatIp(address)} at ${entry.mac}, and the pod has ${pod.container.mac}`,
      `ip neigh del ${formatIp(address)} dev ${name}`,
    );
  return passes('bridge', `${name}${gateway ? ` ${formatIp(gateway)}` : ''}, up`);
}

/** What the pod sends passes only with its own port, MAC and addresses in the check's sets. */
function spoofHops({ nfnl }: Sockets, pod: Attachment): Hop[] {
  const wanted = spoofElements(pod);
  if (wanted.length === 0) return [passes('spoof check', 'off for this pod')];
  const missing = wanted.find((element) => !lookUp(nfnl, element));
  // Without its port in the check nothing of the pod is checked, so nothing is dropped.
  if (!missing) return [passes('spoof check', `lets its own addresses pass`)];
  const checked = wanted[0] !== undefined && lookUp(nfnl, wanted[0]) !== undefined;
  if (!checked) return [passes('spoof check', 'does not stand for this pod')];
  return [
    stops(
      'spoof check',
      `drops what the pod sends: ${nameOfElement(missing)} is missing`,
      'systemctl restart weftd, which puts it back',
    ),
  ];
}
