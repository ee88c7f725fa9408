/** `weftctl status`: this node and its peers, from the kernel, from what the agent saved, and from the agent itself. */
import { hostname } from 'node:os';
import { systemClock } from '../../clock/clock.ts';
import { type Cidr, containsIp, formatCidr } from '../../inet/cidr.ts';
import { bitsOf, formatIp } from '../../inet/ip.ts';
import type { Config } from '../config/config.ts';
import type { Lease } from '../lease/lease.ts';
import { deviceName, hasTunnel } from '../overlay/device.ts';
import { podMtuBytes } from '../overlay/mtu.ts';
import { hasUnderlay } from '../overlay/state.ts';
import { PodRecords } from '../records.ts';
import { type SavedHost, withSavedHost } from '../saved-host.ts';
import type { Answer } from './ask-agent.ts';
import type { LiveStatus, PeerProbe, StatusProblem } from './live.ts';
import { type PeerEntries, peerEntries } from './peer-entries.ts';

export interface PeerStatus {
  readonly name: string;
  /** The lease's key. */
  readonly key: string;
  readonly subnet: string;
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly path: 'vxlan' | 'direct';
  /** `unknown`: its entries are right, and no probe has told yet whether it answers. */
  readonly state: 'ok' | 'unknown' | 'unreachable' | 'incomplete';
  /** Why the state is not `ok`, with the next step that weft takes. */
  readonly reason?: string;
  readonly rttMs?: number;
  readonly pathMtuBytes?: number;
  readonly version?: string;
}

export interface NodeStatus {
  readonly node: string;
  readonly id: string;
  readonly agent: { readonly running: boolean; readonly version?: string; readonly reason?: string };
  readonly ready: boolean;
  readonly lease: {
    readonly subnets: readonly string[];
    readonly state: string;
    /** Until the lease expires; absent: it does not expire. */
    readonly secondsLeft?: number;
    readonly renewedSecondsAgo?: number;
    readonly reason?: string;
  };
  readonly store: string;
  readonly underlay?: {
    readonly interface: string;
    readonly addresses: readonly string[];
    readonly mtuBytes: number;
  };
  readonly backend: {
    readonly type: string;
    readonly devices: readonly string[];
    readonly podMtuBytes?: number;
  };
  readonly pods: { readonly running: number; readonly addressesFree?: number };
  readonly problems: readonly StatusProblem[];
  /** Versions of weft that peers run and this node does not. */
  readonly otherVersions: readonly string[];
  /** False: the store has not told all peers yet, so that some may be missing below. */
  readonly peersComplete: boolean;
  readonly peers: readonly PeerStatus[];
}

/** @throws AgentError `state` where this node never had a lease */
export const nodeStatus = (given: {
  config: Config;
  file: string;
  agent: Answer<LiveStatus>;
}): Promise<NodeStatus> => withSavedHost(given, async (known) => statusOf({ ...given, ...known }));

function statusOf(known: SavedHost & { config: Config; agent: Answer<LiveStatus> }): NodeStatus {
  const { config, agent, saved, identity, underlay, host, rtnl } = known;
  const live = agent.kind === 'running' ? agent.value : undefined;
  const families = host.families.filter(hasUnderlay);
  const leases = new Map(saved.peers.map((peer) => [peer.key, peer]));
  const probes = new Map(
    live?.probes.map((probe) => [probeKey(probe.peer, probe.family, probe.path), probe]),
  );
  const peers = families
    .flatMap((state) => peerEntries(rtnl, state))
    .map((entries) => peerStatus({ entries, lease: leases.get(entries.peer.key), probes }));
  const current = underlay.current;
  const versions = peers.flatMap(({ version }) => version ?? []);
  return {
    node: saved.lease.nodeName ?? hostname(),
    id: identity.nodeId,
    agent: {
      running: agent.kind === 'running',
      ...(live ? { version: live.version } : {}),
      ...(agent.kind === 'unreachable' ? { reason: agent.reason } : {}),
    },
    ready: live?.ready ?? false,
    lease: leaseStatus(known),
    store: storeText(config),
    ...(current
      ? {
          underlay: {
            interface: current.name,
            addresses: current.addresses.map(({ address }) => formatIp(address)),
            mtuBytes: current.mtuBytes,
          },
        }
      : {}),
    backend: {
      type: config.backend.type,
      devices: families
        .filter(({ backend }) => hasTunnel(backend))
        .map(({ network, backend }) => deviceName(network.family, backend.vni)),
      ...(families.length ? { podMtuBytes: Math.min(...families.map(podMtuBytes)) } : {}),
    },
    pods: podCounts(config, saved.lease),
    problems: [
      ...(live?.problems ?? []),
      ...(live
        ? []
        : host.underlayProblems.map((text) => ({
            code: 'underlay',
            severity: 'error' as const,
            text,
            since: '',
          }))),
    ],
    otherVersions: [...new Set(versions)].filter((one) => one !== live?.version).sort(),
    // What an agent saved is a whole list.
    peersComplete: live?.peersComplete ?? true,
    peers,
  };
}

const probeKey = (...parts: string[]): string => parts.join(' ');

function peerStatus(known: {
  entries: PeerEntries;
  lease: Lease | undefined;
  probes: ReadonlyMap<string, PeerProbe>;
}): PeerStatus {
  const { entries, lease, probes } = known;
  const { peer, way, mtuBytes, faults } = entries;
  const path = way === 'direct' ? 'direct' : 'tunnel';
  const probe = probes.get(probeKey(peer.key, peer.subnet.family, path));
  const version = lease?.extension?.version;
  return {
    name: peer.name ?? peer.key,
    key: peer.key,
    subnet: formatCidr(peer.subnet),
    address: formatIp(peer.endpoint),
    family: peer.subnet.family,
    path: way,
    ...stateOf(faults, probe),
    ...(probe?.rttMs === undefined ? {} : { rttMs: probe.rttMs }),
    ...(mtuBytes === undefined ? {} : { pathMtuBytes: mtuBytes }),
    ...(version === undefined ? {} : { version }),
  };
}

/** A peer without its entries cannot answer: the cause is shown, not the silence that follows from it. */
export function stateOf(
  faults: readonly string[],
  probe: Pick<PeerProbe, 'reachable'> | undefined,
): Pick<PeerStatus, 'state' | 'reason'> {
  if (faults.length) return { state: 'incomplete', reason: faults.join(', ') };
  if (!probe) return { state: 'unknown' };
  if (probe.reachable) return { state: 'ok' };
  return {
    state: 'unreachable',
    reason:
      'does not answer probes: check that weftd runs there and that UDP passes; probed again within seconds',
  };
}

function leaseStatus(known: SavedHost & { config: Config; agent: Answer<LiveStatus> }): NodeStatus['lease'] {
  const { config, saved, agent } = known;
  const live = agent.kind === 'running' ? agent.value.lease : undefined;
  // In Kubernetes the controller manager assigns subnets, and nothing is renewed.
  const expires = config.store.type !== 'kubernetes';
  const leftMs = expires ? saved.deadlineMs - systemClock.now() : Number.POSITIVE_INFINITY;
  return {
    subnets: saved.lease.subnets.map(formatCidr),
    state: live?.phase ?? (leftMs > 0 ? 'saved' : 'expired'),
    ...(Number.isFinite(leftMs) ? { secondsLeft: Math.max(0, Math.round(leftMs / 1000)) } : {}),
    ...(live?.renewedSecondsAgo === undefined || !expires
      ? {}
      : { renewedSecondsAgo: Math.round(live.renewedSecondsAgo) }),
    ...(live?.reason === undefined ? {} : { reason: live.reason }),
  };
}

function storeText({ store }: Config): string {
  switch (store.type) {
    case 'file':
      return `file ${store.path}`;
    case 'etcd':
      return `etcd ${store.endpoints.map(({ host, port }) => `${host}:${port}`).join(',')} ${store.prefix}`;
    case 'kubernetes':
      return `kubernetes ${store.kubeconfig ?? '(service account)'}`;
  }
}

/** Network, gateway and broadcast address are not for pods. */
const RESERVED = 3;

function podCounts({ runDir }: Config, { subnets }: Lease): NodeStatus['pods'] {
  const records = new PodRecords(runDir).attachments;
  const running = new Set(records.map(({ containerId }) => containerId)).size;
  const subnet = subnets.find(({ family }) => family === 'ipv4');
  if (!subnet) return { running };
  const used = records
    .flatMap(({ addresses }) => addresses)
    .filter(({ address }) => containsIp(subnet, address));
  return { running, addressesFree: Math.max(0, sizeOf(subnet) - RESERVED - used.length) };
}

const sizeOf = ({ family, length }: Cidr): number => 2 ** (bitsOf(family) - length);

/** Whether all is as it should be: what the exit status of the command tells. */
export const isHealthy = ({ ready, problems, peers, peersComplete }: NodeStatus): boolean =>
  ready &&
  peersComplete &&
  problems.length === 0 &&
  peers.every(({ state }) => state === 'ok' || state === 'unknown');
