/** The kernel's neighbour tables: their limits, and entries that lead to a MAC that nobody has. */
import { formatIp, sameIp } from '../../../inet/ip.ts';
import { linkByName } from '../../../kernel/link.ts';
import * as neighbour from '../../../kernel/neighbour.ts';
import { readSysctl } from '../../../kernel/sysctl.ts';
import type { Attachment } from '../../../plugin/attach/attachment.ts';
import { hasUnderlay } from '../../overlay/state.ts';
import { type Check, type Finding, orOk, unknown } from '../finding.ts';
import type { DoctorHost } from '../host.ts';
import { inPod, ofPod } from '../in-pod.ts';
import { tableLimit } from '../table-limit.ts';

const families = ['ipv4', 'ipv6'] as const;

export const neighbourTable: Check = {
  name: 'neighbour-table',
  title: 'Neighbour table limits',
  look: ({ rtnl, pods, config, saved }) => {
    const lengths = config.networks.map(({ cidr }) => cidr.family);
    const findings = families
      .filter((family) => lengths.includes(family))
      .flatMap((family) => {
        const limit = Number(readSysctl(`net/${family}/neigh/default/gc_thresh3`) ?? Number.NaN);
        // The kernel does not count permanent ones against the limit.
        const used = neighbour.neighbours(rtnl, { family }).filter(({ permanent }) => !permanent).length;
        const peers =
          saved?.host.families.find(({ network }) => network.family === family)?.peers.length ?? 0;
        return tableLimit({ family, limit, used, pods: pods.length, peers }) ?? [];
      });
    const known = readSysctl('net/ipv4/neigh/default/gc_thresh3');
    if (known === undefined) return unknown('the limits are in the first network namespace only');
    return orOk(findings, `room for ${known} entries, ${pods.length} pods`);
  },
};

export const staleNeighbours: Check = {
  name: 'neighbours',
  title: 'Neighbour entries',
  look: (host) =>
    orOk([...onBridges(host), ...toPeers(host), ...inPods(host)], 'of pods, gateways and peers: none stale'),
};

/** The host's entries for its pods. */
function onBridges({ rtnl, pods }: DoctorHost): Finding[] {
  return pods.flatMap(({ bridge, addresses, container }) => {
    const index = linkByName(rtnl, bridge)?.index;
    if (index === undefined) return [];
    return addresses.flatMap(({ address }) => {
      const entries = neighbour.neighbours(rtnl, { family: address.family, index });
      const entry = entries.find((each) => sameIp(each.address, address));
      if (entry?.mac === undefined || entry.mac === container.mac) return [];
      return stale({ what: formatIp(address), mac: entry.mac, wanted: container.mac, device: bridge });
    });
  });
}

/** Peers on the underlay's link whose entry is permanent: somebody put it there, and nothing renews it. */
function toPeers({ rtnl, saved }: DoctorHost): Finding[] {
  return (saved?.host.families ?? []).filter(hasUnderlay).flatMap(({ peers, underlay }) => {
    const which = { family: underlay.address.address.family, index: underlay.index };
    const entries = neighbour.neighbours(rtnl, which).filter(({ permanent }) => permanent);
    return entries.flatMap((entry) => {
      const peer = peers.find(({ endpoint }) => sameIp(endpoint, entry.address));
      if (!peer || entry.mac === undefined) return [];
      return {
        severity: 'warning' as const,
        subject: peer.name ?? peer.key,
        found: `a permanent neighbour entry has ${formatIp(entry.address)} at ${entry.mac}, wherever it is`,
        wanted: 'an entry that the kernel learns',
        remedy: `ip neigh del ${formatIp(entry.address)} dev ${underlay.name}`,
      };
    });
  });
}

const MOST_PODS = 64;

/** What pods believe of their gateway. */
function inPods({ rtnl, pods }: DoctorHost): Finding[] {
  return pods.slice(0, MOST_PODS).flatMap((pod) => {
    const bridge = linkByName(rtnl, pod.bridge);
    if (bridge?.mac === undefined) return [];
    const { mac } = bridge;
    return gatewayEntries(pod).flatMap((entry) =>
      entry.mac === undefined || entry.mac === mac
        ? []
        : stale({
            what: `${formatIp(entry.address)} in pod ${pod.containerId.slice(0, 12)}`,
            mac: entry.mac,
            wanted: mac,
            device: pod.ifname,
            prefix: `nsenter --net=${pod.netns} `,
            address: formatIp(entry.address),
          }),
    );
  });
}

const gatewayEntries = (pod: Attachment): readonly neighbour.Neighbour[] =>
  ofPod(() =>
    inPod(pod, (rtnl) =>
      pod.addresses.flatMap(({ gateway }) =>
        neighbour
          .neighbours(rtnl, { family: gateway.family })
          .filter(({ address }) => sameIp(address, gateway)),
      ),
    ),
  );

const stale = (entry: {
  what: string;
  mac: string;
  wanted: string;
  device: string;
  prefix?: string;
  address?: string;
}): Finding[] => [
  {
    severity: 'failed',
    subject: entry.what,
    found: `stale: the neighbour entry has ${entry.mac}`,
    wanted: entry.wanted,
    remedy: `${entry.prefix ?? ''}ip neigh del ${entry.address ?? entry.what} dev ${entry.device}`,
  },
];
