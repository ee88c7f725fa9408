/**
 * The host's network once there is a lease: the way to the peers, the pods' bridges and the firewall, in one pass for
 * whatever happened; and who hears of it.
 */
import { linkByName } from '../kernel/link.ts';
import type { Rtnl } from '../kernel/netlink/rtnl.ts';
import type { Log } from '../log/log.ts';
import { reasonOf } from '../problem/reason.ts';
import { Announcement } from './announcement.ts';
import { KeptBridges } from './bridge/keep.ts';
import type { Config } from './config/config.ts';
import type { RunningConfig } from './config/running.ts';
import { KeptFirewall } from './firewall/keep.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { Lease } from './lease/lease.ts';
import { everything } from './overlay/damage.ts';
import { deviceName } from './overlay/device.ts';
import { TunnelFarewell } from './overlay/farewell.ts';
import { earliest } from './overlay/reconciler.ts';
import { OverlayService, type PassPart } from './overlay/service.ts';
import { type OverlayState, overlayStates } from './overlay/state.ts';
import { podMtuBytes } from './overlay/ways.ts';
import { FamilyProbes } from './probe/family-probes.ts';
import type { Readiness } from './readiness.ts';
import { PodRecords } from './records.ts';
import { reportEntries, reportLease, reportPeers } from './reports.ts';
import type { Health } from './serve/health/health.ts';
import { writeSubnetFile } from './subnet-file/subnet-file.ts';
import { SysctlLedger } from './sysctl/ledger.ts';
import type { FollowedUnderlay } from './underlay/follow.ts';

export interface NetworkOptions {
  readonly running: RunningConfig;
  readonly sockets: RtnlSockets;
  readonly health: Health;
  readonly readiness: Readiness;
  readonly identity: Identity;
  readonly underlay: FollowedUnderlay;
  readonly holder: LeaseHolder;
  /** Calls back whenever the agent is told to read its configuration again, until the signal fires. */
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
  const { running, sockets, health, readiness, underlay, holder, onReload, log, signal } = options;
  const { runDir, stateDir } = running.current;
  const probes = new FamilyProbes({
    timing: () => running.current.probes,
    onChange: (reason) => {
      reportPeers(health, probes);
      if (reason) service.trigger(reason);
    },
    log,
    signal,
  });
  const farewell = new TunnelFarewell({ onOver: () => service.trigger('tunnel out of use'), signal });
  const announcement = new Announcement({ ...options, farewell });
  const records = new PodRecords(runDir);
  const firewall = new KeptFirewall({
    masquerade: () => masqueradeOf(running.current),
    pods: () => records.pods,
    onDamage: (reason) => service.trigger(reason),
    signal,
  });
  const bridges = new KeptBridges({ rtnl: sockets.rtnl, records });
  const service: OverlayService = new OverlayService({
    ...sockets,
    setSysctl: new SysctlLedger(stateDir).set,
    states: async (pass) => {
      if (pass.underlay && (await hasMoved(underlay, log))) announcement.tell();
      return statesOf({ ...options, probes, farewell });
    },
    also: (states, pass) => bothOf(bridges.ensure(states, pass), firewall.ensure(states)),
    observe: (message) => bridges.observe(message),
    log,
    onPass: (states, outcome) => {
      announcement.passed();
      reportLease(health, holder);
      probes.follow(states);
      reportPeers(health, probes);
      reportEntries(health, outcome.problems, holder);
      offerSubnet(running.current, holder.lease, states);
      readiness.passed(holder, outcome);
    },
    onFailure: (error) => health.bad('overlay', reasonOf(error)),
    signal,
  });
  const listening = [service.listen(), firewall.listen()];
  holder.watchStatus(() => reportLease(health, holder), signal);
  holder.watchPeers(() => service.trigger('lease'), signal);
  onReload(() => {
    if (!running.reload()) return;
    announcement.tellAfterPass();
    service.trigger('reload', everything);
  }, signal);
  announcement.tell();
  service.trigger('start');
  await Promise.all(listening);
}

const masqueradeOf = ({ masquerade }: Config) => (masquerade.enabled ? masquerade : undefined);

const bothOf = (one: PassPart, other: PassPart): PassPart => ({
  done: [...one.done, ...other.done],
  problems: [...one.problems, ...other.problems],
  retryInMs: earliest([one.retryInMs, other.retryInMs]),
});

/** Whether the host's address, interface or MTU is another now: then peers are to be told. */
async function hasMoved(underlay: FollowedUnderlay, log: Log): Promise<boolean> {
  const change = await underlay.refresh();
  if (change) log.info('underlay.changed', { change });
  return change !== undefined;
}

function statesOf(
  known: NetworkOptions & { readonly probes: FamilyProbes; readonly farewell: TunnelFarewell },
): OverlayState[] {
  const { running, sockets, underlay, identity, holder, probes, farewell } = known;
  const { networks, backend } = running.current;
  const { type, vni, port, mtu } = backend;
  const tunnelStays =
    farewell.stays(type) &&
    networks.some(({ cidr }) => linkByName(sockets.rtnl, deviceName(cidr.family, vni)));
  return overlayStates({
    networks: networks.map(({ cidr }) => cidr),
    lease: holder.lease,
    vtepMacs: identity.vtepMacs,
    peers: holder.peers,
    underlayOf: (family) => underlay.of(family),
    backend: { type, tunnelStays, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
    answeringDirect: (family) => probes.answeringDirect(family),
    pathMtuBytes: (family) => probes.pathMtuBytes(family),
  });
}

function offerSubnet(
  { runDir, networks, masquerade }: Config,
  lease: Lease,
  states: readonly OverlayState[],
): void {
  writeSubnetFile(runDir, {
    networks: networks.map(({ cidr }) => cidr),
    subnets: lease.subnets,
    mtuBytes: Math.min(...states.map(podMtuBytes)),
    masquerade: masquerade.enabled,
  });
}
