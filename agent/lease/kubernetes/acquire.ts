/** A lease from the Node object, with this machine's clock and disk: what `main` calls. */
import { systemClock } from '../../../clock/clock.ts';
import { containsIp } from '../../../inet/cidr.ts';
import { readBootId } from '../../../kernel/boot.ts';
import type { ApiClient } from '../../../kubernetes/client.ts';
import type { ReflectorTiming } from '../../../kubernetes/reflector.ts';
import type { Log } from '../../../log/log.ts';
import { LeaseFiles } from '../disk/lease-files.ts';
import { readSaved } from '../disk/saved.ts';
import type { ClusterConfig } from '../flannel/cluster-config.ts';
import type { Lease, LeaseAttributes } from '../lease.ts';
import { KubernetesHolder } from './holder.ts';

export interface AcquireFromNodeOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly annotationPrefix: string;
  readonly cluster: ClusterConfig;
  readonly attributes: LeaseAttributes;
  /** Whether pods have addresses of these subnets. */
  readonly hasPodsIn: (subnets: Lease['subnets']) => boolean;
  readonly onWaiting: (code: 'store' | 'lease', reason: string) => void;
  readonly runDir: string;
  readonly stateDir: string;
  readonly log: Log;
  readonly timing?: Partial<ReflectorTiming>;
  readonly signal: AbortSignal;
}

/**
 * Resolves once this node has a subnet: from its Node, or from before if the API server is unreachable. It waits where
 * there is none, and says why by `onWaiting`. When the signal fires, the lease stays.
 */
export async function acquireFromNode(options: AcquireFromNodeOptions): Promise<KubernetesHolder> {
  const { cluster, runDir, stateDir, log, signal } = options;
  const clock = systemClock;
  const boot = readBootId();
  const onDisk = readSaved({ stateDir, boot, clock });
  if (onDisk.kind === 'unreadable') log.warn('lease.unreadable', { reason: onDisk.reason });
  const saved = onDisk.kind === 'read' ? onDisk.saved : undefined;
  // Another network in the configuration: the lease of before is of no use.
  const usable = saved?.lease.subnets.every((subnet) =>
    cluster.networks.some(({ cidr }) => containsIp(cidr, { family: subnet.family, value: subnet.base })),
  );
  const files = new LeaseFiles({ runDir, stateDir, boot, clock, log, signal });
  const holder: KubernetesHolder = new KubernetesHolder({
    ...options,
    saved: usable ? saved : undefined,
    onSave: (when) => (when === 'now' ? files.save(holder) : files.touch(holder)),
  });
  await Promise.race([holder.acquired, holder.done]);
  signal.throwIfAborted();
  return holder;
}
