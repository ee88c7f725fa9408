/** `weftctl pod apply`: manifests become orders, and weft-podd carries them out. */
import { createHash, randomUUID } from 'node:crypto';
import { reasonOf } from '../../problem/reason.ts';
import { Docker, socketOf } from '../docker/daemon.ts';
import { PodError } from '../errors.ts';
import { keyOf, type Pod, titleOf } from '../manifest/pod.ts';
import { contentOf, type Order, type Places, PodFiles } from './files.ts';
import { follow } from './follow.ts';
import { checkPod } from './preflight.ts';
import { removePod } from './remove.ts';
import { submit } from './service.ts';
import type { PodEvent, PodStatus } from './status.ts';

export interface ApplyOptions {
  readonly pods: readonly Pod[];
  readonly places: Places;
  /** The configuration that was named; undefined: the default one. */
  readonly config: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly pauseImage: string | undefined;
  /** 0: do not wait. */
  readonly timeoutMs: number;
  readonly say: (text: string) => void;
}

interface Change {
  readonly pod: Pod;
  readonly order: Order;
  readonly isNew: boolean;
}

/**
 * Creates or changes every pod; one whose manifest has not changed is left alone. A new pod that fails is rolled back.
 *
 * @throws PodError with the remedy; a problem that is found by the checks has changed nothing
 */
export async function applyPods(options: ApplyOptions): Promise<void> {
  const { pods, places, config, env, pauseImage, say } = options;
  const files = new PodFiles(places);
  const docker = new Docker(socketOf(env));
  await docker.ask('reach Docker', (api) => api.ping());
  const orders = readableOrders(files, say);
  const others = [...orders.filter(({ removal }) => !removal).map(({ pod }) => pod), ...pods];
  const changes: Change[] = [];
  for (const pod of pods) {
    const digest = createHash('sha256').update(contentOf(pod, pauseImage)).digest('hex');
    const isNew = !files.has(keyOf(pod));
    const before = orders.find((order) => keyOf(order.pod) === keyOf(pod));
    if (before && !before.removal && before.digest === digest) {
      say(`pod ${titleOf(pod)} unchanged`);
      continue;
    }
    const progress = (text: string) => say(`pod ${titleOf(pod)}: ${text}`);
    await checkPod({ pod, pauseImage, others, docker, progress });
    const appliedAt = new Date().toISOString();
    const order = { pod, digest, appliedAt, pauseImage, uid: randomUUID(), removal: undefined };
    changes.push({ pod, order, isNew });
  }
  await submit({ files, config }, () => {
    for (const { pod, order } of changes) files.writeOrder(keyOf(pod), order);
  });
  for (const { pod, isNew } of changes) {
    say(`pod ${titleOf(pod)} ${isNew ? 'created' : 'changed, it is replaced'}`);
  }
  if (options.timeoutMs === 0) return;
  const outcomes = await Promise.allSettled(changes.map((change) => settle(change, files, options)));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  if (failures.length > 0) throw new PodError('daemon', failures.map(reasonOf).join('\n'));
}

/** An order that cannot be read is replaced if its pod is applied; otherwise it is reported and left alone. */
function readableOrders(files: PodFiles, say: (text: string) => void): Order[] {
  return files.orderKeys().flatMap((key) => {
    try {
      return files.order(key) ?? [];
    } catch (error) {
      if (!(error instanceof PodError) || error.code !== 'state') throw error;
      say(`warning: ${error.message}`);
      return [];
    }
  });
}

async function settle({ pod, order, isNew }: Change, files: PodFiles, options: ApplyOptions): Promise<void> {
  const { timeoutMs, say } = options;
  const title = `pod ${titleOf(pod)}`;
  const key = keyOf(pod);
  const fault = { text: undefined as string | undefined };
  const onEvent = ({ uid, text, isFault }: PodEvent) => {
    // A failure while the pod's earlier manifest is removed is retried, and is not this manifest's.
    if (isFault && (uid ?? order.uid) === order.uid) fault.text = text;
    else say(`${title}: ${text}`);
  };
  try {
    const status = await follow({ files, key, onEvent, timeoutMs }, (now) => {
      if (fault.text !== undefined) throw new PodError('daemon', fault.text);
      return now?.uid === order.uid && hasSettled(now) ? now : undefined;
    });
    say(`${title}: ${status.reason} ${status.addresses.join(', ')}`.trimEnd());
    if (status.message) say(`${title}: ${status.message}`);
    if (status.phase === 'Failed') throw new PodError('daemon', 'the pod failed');
  } catch (error) {
    // A pod that has run is kept.
    if (!isNew || fault.text === undefined) throw new PodError('daemon', `${title}: ${reasonOf(error)}`);
    await removePod({
      files,
      config: options.config,
      key,
      graceSeconds: undefined,
      timeoutMs,
      say: () => undefined,
    });
    throw new PodError('daemon', `${title}: ${fault.text}; rolled back`);
  }
}

/** Every container that is to run has run. */
const hasSettled = ({ phase, containers }: PodStatus): boolean =>
  phase === 'Succeeded' ||
  phase === 'Failed' ||
  containers.every(({ role, state, reason }) =>
    role === 'init' ? reason === 'Completed' : state === 'running' || reason !== 'ContainerCreating',
  );
