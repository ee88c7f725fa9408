/**
 * One agent's life: a lease, the overlay that follows from it, and pods.
 *
 * Nothing here is undone on the way out: the data path outlives the agent.
 */
import { setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { formatCidr } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import { linkByName } from '../kernel/link.ts';
import { openRtnl, type Rtnl } from '../kernel/netlink/rtnl.ts';
import { readBootId } from '../plugin/ipam/boot.ts';
import { keepPods } from '../pod/keep/keep-pods.ts';
import { attributesOf } from './attributes.ts';
import { KeptBridges } from './bridge/keep.ts';
import { type Config, defaultRunDir } from './config/config.ts';
import { conflistDirectory, ensureConflist } from './conflist.ts';
import { AgentError } from './errors.ts';
import { KeptFirewall } from './firewall/keep.ts';
import { ensureIdentity, type Identity, nodeName } from './identity/identity.ts';
import { acquireLease } from './lease/acquire-lease.ts';
import { systemClock } from './lease/clock.ts';
import { clusterConfigOf } from './lease/cluster-config.ts';
import type { LeaseHolder } from './lease/holder.ts';
import { openStore } from './lease/open-store.ts';
import { readSaved } from './lease/saved.ts';
import type { LeaseStore } from './lease/store.ts';
import type { Log } from './log/log.ts';
import type { Notifier } from './notify/notifier.ts';
import { deviceName } from './overlay/device.ts';
import { TunnelFarewell } from './overlay/farewell.ts';
import { earliest } from './overlay/reconciler.ts';
import { OverlayService, type PassOutcome } from './overlay/service.ts';
import type { OverlayState } from './overlay/state.ts';
import { overlayStates } from './overlay/state.ts';
import { podMtuBytes } from './overlay/ways.ts';
import { FamilyProbes } from './probe/family-probes.ts';
import { PodRecords } from './records.ts';
import { reloadConfig } from './reload.ts';
import { Health } from './serve/health/health.ts';
import { healthRoutes } from './serve/health/routes.ts';
import { serveHttp } from './serve/http.ts';
import { servePods } from './serve/pods.ts';
import { writeSubnetFile } from './subnet-file/subnet-file.ts';
import { SysctlLedger } from './sysctl/ledger.ts';
import { findUnderlay } from './underlay/find-underlay.ts';
import { FollowedUnderlay } from './underlay/follow.ts';

export interface AgentOptions {
  readonly config: Config;
  /** The configuration's name, for messages. */
  readonly file: string;
  readonly log: Log;
  readonly notifier: Notifier;
  /** Reads the configuration again; throws ConfigError. */
  readonly load: () => Config;
  /** Calls back whenever the agent is told to read its configuration again, until the signal fires. */
  readonly onReload: (listener: () => void, signal: AbortSignal) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the signal has fired and all is let go of; rejects where the agent cannot do its work. */
export async function runAgent(given: AgentOptions): Promise<void> {
  requireRoot();
  const ended = new AbortController();
  const options = { ...given, signal: AbortSignal.any([given.signal, ended.signal]) };
  const { config, signal } = options;
  // As many as there are timers, listeners and children: no sign of a leak.
  setMaxListeners(0, signal);
  for (const directory of [config.runDir, config.stateDir]) mkdirSync(directory, { recursive: true });
  const health = new Health({ now: () => performance.now(), wallNow: () => Date.now() });
  const sockets = { rtnl: openRtnl(), bulk: openRtnl().widen() };
  try {
    if (config.listen) await serveHttp({ listen: config.listen, routes: healthRoutes(health), signal });
    await new Agent(options, sockets, health).run();
  } finally {
    ended.abort();
    for (const socket of Object.values(sockets)) socket.close();
  }
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new AgentError('root', 'weftd configures the network of its host: start it as root');
}

/** So many silent peers are called by their names. */
const SHOWN_PEERS = 5;

class Agent {
  readonly #options: AgentOptions;
  readonly #rtnl: Rtnl;
  readonly #bulk: Rtnl;
  readonly #health: Health;
  /** In force: what was read last, as far as it needs no restart. */
  #config: Config;
  #ready = false;
  /** What was configured anew is told once it is done: who hears of a tunnel may send through it. */
  #toTell = false;
  #tellings = 0;

  constructor(options: AgentOptions, sockets: { rtnl: Rtnl; bulk: Rtnl }, health: Health) {
    this.#options = options;
    this.#config = options.config;
    this.#rtnl = sockets.rtnl;
    this.#bulk = sockets.bulk;
    this.#health = health;
  }

  async run(): Promise<void> {
    const { config, file, log, notifier, signal } = this.#options;
    const opening = this.#openStore();
    // It is awaited below; what fails before that goes first.
    opening.catch(() => undefined);
    const identity = ensureIdentity(config.stateDir);
    const saved = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
    const underlay = await FollowedUnderlay.find({
      find: (known) => findUnderlay({ config: this.#config, file, rtnl: this.#rtnl, known }),
      known: saved?.lease.publicIps ?? [],
      onWarnings: (warnings) => log.warn({ warnings }, 'underlay.warnings'),
    });
    log.info({ nodeId: identity.nodeId, underlay: underlay.current.name }, 'agent.started');
    // Pods are taken away, and made if an earlier life's lease still holds, while a lease is waited for.
    const pods = await servePods({
      runDir: config.runDir,
      health: this.#health,
      inUse: () => this.#ready,
      log,
      signal,
    });
    const kept = keepPods({ ...config, log, env: process.env, signal });
    notifier.status('waiting for a lease');
    const holder = await this.#acquire(await opening, identity, underlay);
    const probes = new FamilyProbes({
      timing: () => this.#config.probes,
      onChange: (reason) => {
        this.#reportPeers(probes);
        if (reason) service.trigger(reason);
      },
      log,
      signal,
    });
    const farewell = new TunnelFarewell({ onOver: () => service.trigger('tunnel out of use'), signal });
    const tell = () => this.#tellPeers(underlay, identity, holder, farewell);
    const records = new PodRecords(config.runDir);
    const firewall = new KeptFirewall({
      masquerade: () => (this.#config.masquerade.enabled ? this.#config.masquerade : undefined),
      pods: () => records.pods,
      onDamage: (reason) => service.trigger(reason),
      signal,
    });
    const bridges = new KeptBridges({ rtnl: this.#rtnl, records });
    const service: OverlayService = new OverlayService({
      rtnl: this.#rtnl,
      bulk: this.#bulk,
      setSysctl: new SysctlLedger(config.stateDir).set,
      states: async (pass) => {
        if (pass.underlay && (await this.#hasMoved(underlay))) tell();
        return this.#states({ underlay, identity, holder, probes, farewell });
      },
      also: (states, pass) => {
        const parts = [bridges.ensure(states, pass), firewall.ensure(states)];
        return {
          done: parts.flatMap(({ done }) => done),
          problems: parts.flatMap(({ problems }) => problems),
          retryInMs: earliest(parts.map(({ retryInMs }) => retryInMs)),
        };
      },
      observe: (message) => bridges.observe(message),
      log,
      onPass: (states, outcome) => {
        if (this.#toTell) tell();
        this.#toTell = false;
        this.#converged(holder, probes, states, outcome);
      },
      onFailure: (error) =>
        this.#health.bad('overlay', error instanceof Error ? error.message : String(error)),
      signal,
    });
    const listening = [service.listen(), firewall.listen()];
    holder.watchStatus(() => this.#reportLease(holder), signal);
    holder.watchPeers(() => service.trigger('lease'), signal);
    this.#options.onReload(() => {
      if (!this.#reload()) return;
      this.#toTell = true;
      service.trigger('reload', { reread: true, underlay: true });
    }, signal);
    tell();
    service.trigger('start');
    await Promise.all([...listening, holder.done, pods.done, kept]);
  }

  /** First of all: what else a start does, it does while a connection is made. */
  async #openStore(): Promise<LeaseStore> {
    const { config, signal } = this.#options;
    const store = await openStore(config.store);
    // An open stream to etcd would keep the process from ending.
    if (signal.aborted) store.close();
    signal.addEventListener('abort', () => store.close(), { once: true });
    return store;
  }

  async #acquire(store: LeaseStore, identity: Identity, underlay: FollowedUnderlay): Promise<LeaseHolder> {
    const { config, log, signal } = this.#options;
    const { networks, backend } = clusterConfigOf(config);
    const holder = await acquireLease({
      store,
      node: { id: identity.nodeId, name: nodeName() },
      networks,
      backend,
      attributes: attributesOf(config, identity, underlay.current),
      runDir: config.runDir,
      stateDir: config.stateDir,
      log,
      timing: config.store.type === 'etcd' ? { ttlSeconds: config.store.leaseTtlSeconds } : {},
      signal,
    });
    const subnets = holder.lease.subnets.map(formatCidr);
    log.info({ subnets, publicIps: holder.lease.publicIps.map(formatIp) }, 'agent.subnets');
    return holder;
  }

  /** Reads the configuration again. Answers whether anything of it is new. */
  #reload(): boolean {
    const { load, log } = this.#options;
    let read: Config;
    try {
      read = load();
    } catch (error) {
      log.error({ err: error }, 'reload.refused');
      return false;
    }
    const { config, applied, restart } = reloadConfig(this.#config, read);
    this.#config = config;
    log.level = config.log.level;
    log.info({ applied }, 'reload.done');
    if (restart.length) log.warn({ fields: restart }, 'reload.needsRestart');
    return true;
  }

  /** Whether the host's address, interface or MTU is another now: then peers are to be told. */
  async #hasMoved(underlay: FollowedUnderlay): Promise<boolean> {
    const change = await underlay.refresh();
    if (change) this.#options.log.info({ change }, 'underlay.changed');
    return change !== undefined;
  }

  /** Not awaited: a store that is away must not keep this node's own kernel state waiting. */
  #tellPeers(
    underlay: FollowedUnderlay,
    identity: Identity,
    holder: LeaseHolder,
    farewell: TunnelFarewell,
  ): void {
    const { log, signal } = this.#options;
    const attributes = attributesOf(this.#config, identity, underlay.current);
    const telling = ++this.#tellings;
    holder
      .updateAttributes(attributes, signal)
      .then(() => telling === this.#tellings && farewell.told(attributes.backend.type))
      .catch((error: unknown) => signal.aborted || log.error({ err: error }, 'lease.notUpdated'));
  }

  #states(parts: {
    underlay: FollowedUnderlay;
    identity: Identity;
    holder: LeaseHolder;
    probes: FamilyProbes;
    farewell: TunnelFarewell;
  }): OverlayState[] {
    const { underlay, identity, holder, probes, farewell } = parts;
    const config = this.#config;
    const { type, vni, port, mtu } = config.backend;
    const tunnelStays =
      farewell.stays(type) &&
      config.networks.some(({ cidr }) => linkByName(this.#rtnl, deviceName(cidr.family, vni)));
    return overlayStates({
      networks: config.networks.map(({ cidr }) => cidr),
      lease: holder.lease,
      vtepMacs: identity.vtepMacs,
      peers: holder.peers,
      underlayOf: (family) => underlay.of(family),
      backend: { type, tunnelStays, vni, port, mtuBytes: mtu === 'auto' ? undefined : mtu },
      answeringDirect: (family) => probes.answeringDirect(family),
      pathMtuBytes: (family) => probes.pathMtuBytes(family),
    });
  }

  /** A pass is over: pods may be made, and whoever waits for us is told. */
  #converged(
    holder: LeaseHolder,
    probes: FamilyProbes,
    states: readonly OverlayState[],
    { problems, settling }: PassOutcome,
  ): void {
    const { log, notifier } = this.#options;
    const config = this.#config;
    this.#reportLease(holder);
    probes.follow(states);
    this.#reportPeers(probes);
    const leases = holder.peers.problems.map(({ key, reason }) => `${key}: ${reason}`);
    const wrong = [...problems, ...leases];
    if (wrong.length) this.#health.bad('entries', wrong.join('; '));
    else this.#health.good('entries');
    writeSubnetFile(config.runDir, {
      networks: config.networks.map(({ cidr }) => cidr),
      subnets: holder.lease.subnets,
      mtuBytes: Math.min(...states.map(podMtuBytes)),
      masquerade: config.masquerade.enabled,
    });
    const peers = holder.peers.leases.size;
    const subnets = holder.lease.subnets.map(formatCidr).join(' ');
    const status = `${subnets}, ${peers} peers${problems.length ? `, ${problems.length} problems` : ''}`;
    // With the store away, the peers of before are all that will come: pods need not wait for it.
    if (!holder.peers.complete && holder.status.phase !== 'away') {
      notifier.status(`${status}, list of peers not complete`);
      return;
    }
    this.#health.good('overlay');
    if (this.#ready) {
      notifier.status(status);
      return;
    }
    if (settling.length) {
      notifier.status(`${status}, ${settling.join(', ')}`);
      return;
    }
    this.#ready = true;
    this.#offerPods();
    notifier.ready(status);
    // Not before: a start takes as long as it takes where the processor is slow, and a watchdog would begin it anew.
    notifier.watch(this.#options.signal);
    log.info({ peers }, 'agent.ready');
  }

  /** From here on runtimes find the plugin configured: the relay asks the agent that has the default runDir. */
  #offerPods(): void {
    const { config, log } = this.#options;
    if (config.runDir !== defaultRunDir) return;
    const outcome = ensureConflist({ directory: conflistDirectory, stateDir: config.stateDir });
    log.info({ directory: conflistDirectory, outcome }, 'agent.conflist');
  }

  #reportPeers(probes: FamilyProbes): void {
    const texts = [
      ...tellPeers(
        'no answer through the tunnel from',
        probes.silent(),
        'see that weftd runs there, and that UDP gets through',
      ),
      ...tellPeers(
        'only smaller packets reach',
        probes.narrow(),
        'see to the MTU on the way; pods are told meanwhile',
      ),
    ];
    if (texts.length) this.#health.bad('peers', texts.join('; '));
    else this.#health.good('peers');
  }

  #reportLease(holder: LeaseHolder): void {
    const { phase, deadlineMs, reason } = holder.status;
    const text = reason ?? `the lease is ${phase}`;
    if (phase === 'away') this.#health.bad('store', text);
    else this.#health.good('store');
    if (phase === 'lost' || phase === 'left') this.#health.bad('lease', text);
    else {
      const forMs = Math.max(0, deadlineMs - systemClock.now());
      this.#health.good('lease', { forMs, otherwise: `the lease was last confirmed too long ago: ${text}` });
    }
  }
}

/** What is wrong with some peers, if there are any. */
function tellPeers(what: string, peers: readonly string[], remedy: string): string[] {
  if (peers.length === 0) return [];
  const more = peers.length > SHOWN_PEERS ? ` and ${peers.length - SHOWN_PEERS} more` : '';
  return [`${what} ${peers.slice(0, SHOWN_PEERS).join(', ')}${more}: ${remedy}`];
}
