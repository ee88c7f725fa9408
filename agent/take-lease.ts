/** The agent's way to its lease: a store in which it claims a subnet, or the Node that has been given one. */
import { containsIp, formatCidr } from '../inet/cidr.ts';
import { formatIp } from '../inet/ip.ts';
import type { Log } from '../log/log.ts';
import { type Announced, attributesOf } from './attributes.ts';
import type { Config, KubernetesStoreConfig, RecordStoreConfig } from './config/config.ts';
import { ensureIdentity, type Identity, identityPath, nodeName, readIdentity } from './identity/identity.ts';
import { acquireLease } from './lease/acquire-lease.ts';
import { clusterConfigOf } from './lease/flannel/cluster-config.ts';
import type { LeaseHolder } from './lease/holder.ts';
import type { Lease } from './lease/lease.ts';
import { countedStore, type StoreObserver } from './lease/store/counted-store.ts';
import { openStore, storeWarnings } from './lease/store/open-store.ts';
import type { LeaseTiming } from './lease/timing.ts';
import { PodRecords } from './records.ts';
import { Answering } from './trace/answering.ts';
import { listening } from './trace/listening-store.ts';
import { version } from './version.ts';

export interface TakeOptions {
  readonly config: Config;
  readonly identity: Identity;
  readonly announced: Announced;
  readonly log: Log;
}

/** Where leases come from, open until the signal of `openLeases` fires. */
export interface LeaseSource {
  /** This node's identity, which a node with a new disk may have left here. */
  identity(stateDir: string): Promise<Identity>;
  /** Resolves once this node has a subnet. */
  take(options: TakeOptions): Promise<LeaseHolder>;
  /** This host has another address: connections made from the one of before are of no use. */
  readonly reconnect?: () => void;
}

export interface OpenOptions {
  /** What is waited for, and why it takes long. */
  readonly onWaiting: (code: 'store' | 'lease', reason: string) => void;
  /** Hears of the store's requests. */
  readonly observer: StoreObserver;
  readonly signal: AbortSignal;
}

/** @throws StoreError `refused` where what is configured cannot work */
export async function openLeases({ store }: Config, options: OpenOptions): Promise<LeaseSource> {
  return store.type === 'kubernetes' ? openNodes(store, options) : openRecords(store, options);
}

async function openRecords(
  config: RecordStoreConfig,
  { onWaiting, observer, signal }: OpenOptions,
): Promise<LeaseSource> {
  const store = countedStore(await openStore(config), observer);
  const warnings = storeWarnings(config);
  // A stream to etcd would keep the process from ending.
  if (signal.aborted) store.close();
  signal.addEventListener('abort', () => store.close(), { once: true });
  return {
    reconnect: () => store.reconnect?.(),
    identity: async (stateDir) => ensureIdentity(stateDir),
    take: async (options) => {
      const { config, identity, announced, log } = options;
      for (const warning of warnings) log.warn('store.insecure', { warning });
      const answering = new Answering({ store, nodeId: identity.nodeId, config, log, signal });
      const holder = await acquireLease({
        store: listening(store, (record) => answering.hear(record)),
        node: { id: identity.nodeId, name: nodeName() },
        ...clusterConfigOf(config),
        attributes: attributesOf(config, identity, announced),
        runDir: config.runDir,
        stateDir: config.stateDir,
        log,
        timing: timingOf(config.store),
        onStatus: ({ phase, reason }) => {
          if (reason !== undefined) onWaiting(phase === 'away' ? 'store' : 'lease', reason);
        },
        signal,
      });
      return logged(holder, log);
    },
  };
}

/** Loaded only where the store is Kubernetes. */
async function openNodes(store: KubernetesStoreConfig, options: OpenOptions): Promise<LeaseSource> {
  const { onWaiting, signal } = options;
  const [{ openApi }, { nodeNameOf }, { acquireFromNode }, { macsOfNode }] = await Promise.all([
    import('./lease/kubernetes/open.ts'),
    import('./lease/kubernetes/node-name.ts'),
    import('./lease/kubernetes/acquire.ts'),
    import('./lease/kubernetes/seed-identity.ts'),
  ]);
  const { annotationPrefix } = store;
  const client = openApi({ store, env: process.env, version, signal });
  const node = nodeNameOf({ env: process.env, configured: store.nodeName });
  return {
    identity: async (stateDir) => {
      const known = readIdentity(identityPath(stateDir));
      if (known) return known;
      const waiting = (reason: string): void => onWaiting('store', reason);
      const place = { client, nodeName: node, annotationPrefix };
      return ensureIdentity(stateDir, await macsOfNode({ ...place, onWaiting: waiting, signal }));
    },
    take: async ({ config, identity, announced, log }) => {
      const { runDir, stateDir } = config;
      const holder = await acquireFromNode({
        client,
        nodeName: node,
        annotationPrefix,
        cluster: clusterConfigOf(config),
        attributes: attributesOf(config, identity, announced),
        hasPodsIn: (subnets) => hasPodsIn(runDir, subnets),
        onWaiting,
        runDir,
        stateDir,
        log,
        signal,
      });
      return logged(holder, log);
    },
  };
}

function logged(holder: LeaseHolder, log: Log): LeaseHolder {
  const subnets = holder.lease.subnets.map(formatCidr);
  log.info('agent.subnets', { subnets, publicIps: holder.lease.publicIps.map(formatIp) });
  return holder;
}

const hasPodsIn = (runDir: string, subnets: Lease['subnets']): boolean =>
  new PodRecords(runDir).attachments.some(({ addresses }) =>
    addresses.some(({ address }) => subnets.some((subnet) => containsIp(subnet, address))),
  );

const timingOf = (store: Config['store']): Partial<LeaseTiming> =>
  store.type === 'etcd' ? { ttlSeconds: store.leaseTtlSeconds, graceSeconds: store.peerGraceSeconds } : {};
