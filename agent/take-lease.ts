/** The agent's way to its lease: the store, and a subnet out of it. */
import { formatCidr } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import type { Log } from '../log/log.ts';
import { type Announced, attributesOf } from './attributes.ts';
import type { Config } from './config/config.ts';
import { type Identity, nodeName } from './identity/identity.ts';
import { acquireLease } from './lease/acquire-lease.ts';
import { clusterConfigOf } from './lease/flannel/cluster-config.ts';
import type { LeaseHolder } from './lease/holder.ts';
import { openStore } from './lease/store/open-store.ts';
import type { LeaseStore } from './lease/store/store.ts';
import type { LeaseTiming } from './lease/timing.ts';

/** Open until the signal fires: a stream to etcd would keep the process from ending. */
export async function openStoreUntil(config: Config['store'], signal: AbortSignal): Promise<LeaseStore> {
  const store = await openStore(config);
  if (signal.aborted) store.close();
  signal.addEventListener('abort', () => store.close(), { once: true });
  return store;
}

/** Resolves once this node has a subnet. */
export async function takeLease(options: {
  readonly store: LeaseStore;
  readonly config: Config;
  readonly identity: Identity;
  readonly announced: Announced;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<LeaseHolder> {
  const { store, config, identity, announced, log, signal } = options;
  const { networks, backend } = clusterConfigOf(config);
  const holder = await acquireLease({
    store,
    node: { id: identity.nodeId, name: nodeName() },
    networks,
    backend,
    attributes: attributesOf(config, identity, announced),
    runDir: config.runDir,
    stateDir: config.stateDir,
    log,
    timing: timingOf(config.store),
    signal,
  });
  const subnets = holder.lease.subnets.map(formatCidr);
  log.info('agent.subnets', { subnets, publicIps: holder.lease.publicIps.map(formatIp) });
  return holder;
}

const timingOf = (store: Config['store']): Partial<LeaseTiming> =>
  store.type === 'etcd' ? { ttlSeconds: store.leaseTtlSeconds, graceSeconds: store.peerGraceSeconds } : {};
