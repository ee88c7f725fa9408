/** The host's network once there is a lease: the parts that the reconciler keeps, and who reports what. */
import { sameIp } from '../inet/ip.ts';
import type { Rtnl } from '../kernel/netlink/rtnl.ts';
import type { Log } from '../log/log.ts';
import { reasonOf } from '../problem/reason.ts';
import { Announcement } from './announcement.ts';
import { BridgesPart } from './bridge/bridges-part.ts';
import { type Config, defaultRunDir } from './config/config.ts';
import type { RunningConfig } from './config/running.ts';
import { conflistDirectory } from './conflist.ts';
import { FirewallPart } from './firewall/firewall-part.ts';
import { hostStateOf, isUnmasqueraded, subnetFileOf } from './host-state.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { MetricSources } from './metrics/sources.ts';
import { deviceName } from './overlay/device.ts';
import { OverlayPart } from './overlay/overlay-part.ts';
import { type HostState, hasUnderlay } from './overlay/state.ts';
import { TunnelRetention } from './overlay/tunnel-retention.ts';
import { FamilyProbes } from './probe/family-probes.ts';
import type { Readiness } from './readiness.ts';
import { HostReconciler } from './reconcile/host-reconciler.ts';
import type { Part } from './reconcile/part.ts';
import type { PartResult } from './reconcile/parts.ts';
import { everything } from './reconcile/trigger.ts';
import { PodRecords } from './records.ts';
import { reportEntries, reportLease, reportPeers } from './reports.ts';
import { ConflistRivals } from './rivals.ts';
import type { Health } from './serve/health/health.ts';
import type { AgentStatus } from './status/live.ts';
import { SubnetFilePart } from './subnet-file/subnet-file-part.ts';
import { SysctlLedger } from './sysctl/ledger.ts';
import { SettingsPart } from './sysctl/settings-part.ts';
import type { HostUnderlay } from './underlay/host-underlay.ts';
import { PeerAddresses } from './underlay/peer-addresses.ts';
import { UnderlayPart } from './underlay/underlay-part.ts';

export interface NetworkOptions {
  readonly running: RunningConfig;
  readonly sockets: RtnlSockets;
  readonly health: Health;
  readonly status: AgentStatus;
  readonly metrics: MetricSources;
  readonly readiness: Readiness;
  readonly identity: Identity;
  readonly underlay: HostUnderlay;
  readonly holder: LeaseHolder;
  /** This host has another address: connections to the store that were made from the one of before do not answer. */
  readonly reconnectStore: () => void;
  /** Calls back on SIGHUP, until the signal aborts. */
  readonly onReload: (listener: () => void, signal: AbortSignal) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Of one namespace. */
export interface RtnlSockets {
  readonly rtnl: Rtnl;
  /** Used by the overlay only, so that requests may be under way on the thread pool. */
  readonly bulk: Rtnl;
}

/** Resolves when the signal has fired; rejects where the kernel cannot be listened to. */
export async function keepNetwork(options: NetworkOptions): Promise<void> {
  const {
    running,
    sockets,
    health,
    status,
    metrics,
    readiness,
    identity,
    underlay,
    holder,
    onReload,
    log,
    signal,
  } = options;
  const { runDir, stateDir } = running.current;
  const probes = new FamilyProbes({
    timing: () => running.current.probes,
    onChange: (reason) => {
      reportPeers(health, probes, () => firewall.droppedSources());
      // An address of this host may be free again, now that its peer is silent.
      const unsettled = underlay.problems.length > 0;
      if (reason || unsettled) reconciler.trigger(reason ?? 'peer silent', { underlay: unsettled });
    },
    log,
    signal,
  });
  status.attach({ holder, probes });
  const retention = new TunnelRetention({ onOver: () => reconciler.trigger('tunnel unused'), signal });
  const announcement = new Announcement({ ...options, retention });
  const records = new PodRecords(runDir);
  const firewall = new FirewallPart({
    masquerade: () => masqueradeOf(running.current),
    pods: () => records.pods,
    onDamage: (reason) => reconciler.trigger(reason),
    signal,
  });
  metrics.network = {
    holder,
    probes,
    records,
    guardDrops: () => firewall.guardDrops(),
    devices: () => devicesOf(running.current),
  };
  const parts: readonly Part<HostState>[] = [
    new UnderlayPart(),
    ...running.current.networks.map(({ cidr: { family } }) => new OverlayPart({ ...sockets, family })),
    new BridgesPart({ rtnl: sockets.rtnl, records }),
    new SettingsPart({
      rtnl: sockets.rtnl,
      set: new SysctlLedger(stateDir, log).set,
      links: () => ({ bridges: records.bridges, egress: underlay.current?.egress ?? [] }),
      unmasqueraded: () => isUnmasqueraded(running.current),
    }),
    firewall,
    new SubnetFilePart({
      runDir,
      fileOf: (host) => subnetFileOf(host, running.current, underlay.mtuBytes),
    }),
  ];
  const conflists = new ConflistRivals({ directory: conflistDirectory, holder, log });
  const reconciler: HostReconciler<HostState> = new HostReconciler({
    parts,
    state: async (needs) => {
      if ((needs.underlay || underlay.problems.length) && (await underlay.refresh())) {
        options.reconnectStore();
        announcement.publish();
      }
      const { rtnl } = sockets;
      return hostStateOf({ config: running.current, rtnl, identity, holder, underlay, probes, retention });
    },
    log,
    onPass: (host, results, seconds) => {
      metrics.counters.passed(results, seconds);
      announcement.passed();
      const problems = results.flatMap((result) => result.problems);
      reportLease(health, holder.status);
      const rivals = runDir === defaultRunDir ? conflists.check() : [];
      reportEntries(health, [...problems, ...rivals, ...follow(probes, host, results)], holder);
      reportPeers(health, probes, () => firewall.droppedSources());
      const settling = results.flatMap((result) => result.settling ?? []);
      const failure = overlayFailure(results);
      if (failure !== undefined) health.bad('overlay', failure);
      else readiness.passed(holder, { problems, settling });
    },
    onError: (error) => health.bad('overlay', reasonOf(error)),
    signal,
  });
  const addresses = new PeerAddresses({
    peers: () => holder.peers,
    isSilent: (address) => probes.silentEndpoints().some((silent) => sameIp(silent, address)),
  });
  underlay.watch({
    inUse: (address) => addresses.holderOf(address),
    onLookedUp: () => reconciler.trigger('store name', { underlay: true }),
  });
  // Before the first pass, so that a pass that fails is not hidden behind "no lease yet".
  reportLease(health, holder.status);
  const listening = [reconciler.listen(), firewall.listen()];
  holder.watchStatus((status) => reportLease(health, status), signal);
  holder.watchPeers(() => reconciler.trigger('lease'), signal);
  const reload = async (): Promise<void> => {
    if (!(await running.reload((config) => underlay.accept(config))) || signal.aborted) return;
    announcement.publishAfterPass();
    reconciler.trigger('reload', everything);
  };
  onReload(() => void reload(), signal);
  announcement.publish();
  reconciler.trigger('start');
  await Promise.all(listening);
}

const devicesOf = ({ networks, backend }: Config): string[] =>
  networks.map(({ cidr }) => deviceName(cidr.family, backend.vni));

const masqueradeOf = ({ masquerade }: Config) => (masquerade.enabled ? masquerade : undefined);

/** Probes go where the overlay stands: their sockets need the addresses of its devices. Returns problems. */
function follow(probes: FamilyProbes, host: HostState, results: readonly PartResult[]): string[] {
  const failed = new Set(results.flatMap(({ part, error }) => (error === undefined ? [] : [part])));
  return host.families.filter(hasUnderlay).flatMap((state) => {
    if (failed.has(OverlayPart.nameOf(state.network.family))) return [];
    try {
      probes.follow(state);
      return [];
    } catch (error) {
      return [`probes: ${reasonOf(error)}`];
    }
  });
}

/** Why no family has an overlay; undefined where one has, or where an underlay is all that is missing. */
function overlayFailure(results: readonly PartResult[]): string | undefined {
  const overlays = results.filter(({ part }) => OverlayPart.isName(part));
  if (overlays.some(({ error }) => error === undefined)) return undefined;
  return overlays.flatMap(({ problems }) => problems).join('; ');
}
