/**
 * Runs one agent: its lease, the overlay that follows from it, and the calls for pods.
 *
 * The agent removes nothing from the kernel when it ends: pods keep their network while it is stopped or restarts.
 */
import { setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { systemClock } from '../clock/clock.ts';
import { readBootId } from '../kernel/boot.ts';
import { openRtnl } from '../kernel/netlink/rtnl.ts';
import type { LevelledLog } from '../log/log.ts';
import type { RecentLines } from '../log/recent-lines.ts';
import type { Config } from './config/config.ts';
import { RunningConfig } from './config/running.ts';
import { AgentError } from './errors.ts';
import { holdExclusively } from './exclusive.ts';
import { keepNetwork, type RtnlSockets } from './keep-network.ts';
import { readSaved } from './lease/disk/saved.ts';
import type { Counters } from './metrics/counters.ts';
import { metricsRoutes } from './metrics/routes.ts';
import type { MetricSources } from './metrics/sources.ts';
import type { Notifier } from './notify/notifier.ts';
import { pageRoutes } from './page/routes.ts';
import { Readiness } from './readiness.ts';
import { Health } from './serve/health/health.ts';
import { healthRoutes } from './serve/health/routes.ts';
import { addressedOnly, serveHttp } from './serve/http.ts';
import { servePods } from './serve/pods.ts';
import { eventsRoutes } from './status/events.ts';
import { AgentStatus, statusRoutes } from './status/live.ts';
import { openLeases } from './take-lease.ts';
import { HostUnderlay, requireUnderlay } from './underlay/host-underlay.ts';

export interface AgentOptions {
  readonly config: Config;
  /** The configuration's name, for messages. */
  readonly file: string;
  readonly log: LevelledLog;
  /** What `log` has written lately. */
  readonly recent: RecentLines;
  /** Counts for `/metrics`; the log counts its events there. */
  readonly counters: Counters;
  readonly notifier: Notifier;
  /** Reads the configuration again; throws ConfigError. */
  readonly load: () => Config;
  /** Calls back on each request to read the configuration again, until the signal fires. */
  readonly onReload: (listener: () => void, signal: AbortSignal) => void;
  readonly signal: AbortSignal;
}

/** Resolves after the signal, when all resources are closed; rejects where the agent cannot do its work. */
export async function runAgent(given: AgentOptions): Promise<void> {
  requireRoot();
  const ended = new AbortController();
  const options = { ...given, signal: AbortSignal.any([given.signal, ended.signal]) };
  const { config, signal } = options;
  // As many as there are timers, listeners and children: no sign of a leak.
  setMaxListeners(0, signal);
  for (const directory of [config.runDir, config.stateDir]) mkdirSync(directory, { recursive: true });
  await holdExclusively([config.runDir, config.stateDir]);
  const health = new Health({ now: () => performance.now(), wallNow: () => Date.now() });
  const sockets = { rtnl: openRtnl(), bulk: openRtnl().widen() };
  try {
    const status = new AgentStatus(health);
    const { counters } = options;
    const metrics: MetricSources = { health, counters, perPeer: config.metrics.perPeer };
    const running = new RunningConfig(options);
    const routes = {
      ...healthRoutes(health),
      ...metricsRoutes(metrics),
      ...addressedOnly({
        ...statusRoutes(status),
        ...eventsRoutes(options.recent),
        ...pageRoutes({ ...options, status, config: () => running.current }),
      }),
    };
    if (config.listen) await serveHttp({ listen: config.listen, routes, signal });
    if (config.metrics.listen) {
      await serveHttp({ listen: config.metrics.listen, routes: metricsRoutes(metrics), signal });
    }
    await live(options, { running, sockets, health, status, metrics });
  } finally {
    ended.abort();
    for (const socket of Object.values(sockets)) socket.close();
  }
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new AgentError('root', 'weftd configures the network of its host: start it as root');
}

/** Acquires a lease, then runs until the signal fires. */
async function live(
  options: AgentOptions,
  {
    running,
    sockets,
    health,
    status,
    metrics,
  }: {
    running: RunningConfig;
    sockets: RtnlSockets;
    health: Health;
    status: AgentStatus;
    metrics: MetricSources;
  },
): Promise<void> {
  const { config, file, log, notifier, signal } = options;
  // First, so that the connection is made while the rest of the start goes on.
  const opening = openLeases(config, {
    onWaiting: waitsFor({ health, notifier }),
    observer: options.counters,
    signal,
  });
  // It is awaited below, and an earlier failure is reported instead.
  opening.catch(() => undefined);
  const readiness = new Readiness({ ...options, health });
  const saved = readSaved({ stateDir: config.stateDir, boot: readBootId(), clock: systemClock });
  const underlay = await HostUnderlay.find({
    config: () => running.current,
    file,
    announced: saved.kind === 'read' ? saved.saved.lease.publicIps : [],
    log,
    signal,
  });
  // A node with a saved lease can make pods before it has an underlay. A new node needs an underlay to announce.
  const announced =
    saved.kind === 'read' && !underlay.current
      ? { sources: [], publicIps: saved.saved.lease.publicIps }
      : requireUnderlay(underlay);
  // While the agent waits for a lease it answers DEL, and also ADD if the saved lease has not expired.
  const pods = await servePods({
    runDir: config.runDir,
    health,
    inUse: () => readiness.reached,
    onCall: (record) => options.counters.called(record),
    log,
    signal,
  });
  notifier.status('waiting for a lease');
  const leases = await opening;
  const identity = await leases.identity(config.stateDir);
  log.info('agent.started', { nodeId: identity.nodeId, underlay: underlay.current?.name });
  const holder = await leases.take({ config, identity, announced, log });
  const network = keepNetwork({
    ...options,
    running,
    sockets,
    health,
    status,
    metrics,
    readiness,
    identity,
    underlay,
    holder,
    reconnectStore: () => leases.reconnect?.(),
  });
  await Promise.all([network, holder.done, pods.done]);
}

/** Says in health and to the service manager what a lease waits for. */
const waitsFor =
  ({ health, notifier }: { health: Health; notifier: Notifier }) =>
  (code: 'store' | 'lease', reason: string): void => {
    if (code === 'lease') health.good('store');
    health.bad(code, reason);
    notifier.status(`waiting for a lease: ${reason}`);
  };
