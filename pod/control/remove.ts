/** `weftctl pod rm`: the order to remove a pod, which weft-podd carries out. */
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import { titleOf } from '../manifest/pod.ts';
import type { PodFiles } from './files.ts';
import { follow } from './follow.ts';
import { submit } from './service.ts';

/**
 * Resolves when nothing of the pod is left; where `timeoutMs` is 0, when the order is written.
 *
 * @throws PodError `unknown`; `daemon` or `docker` where the removal waits for them
 */
export async function removePod(of: {
  readonly files: PodFiles;
  /** The configuration that was named; undefined: the default one. */
  readonly config: string | undefined;
  readonly key: PodKey;
  /** In place of what the manifest says. */
  readonly graceSeconds: number | undefined;
  readonly timeoutMs: number;
  readonly say: (text: string) => void;
}): Promise<void> {
  const { files, config, key, graceSeconds, timeoutMs, say } = of;
  const order = files.order(key);
  if (!order)
    throw new PodError(
      'unknown',
      `pod ${key.replace('_', '/').replace(/^default\//, '')} not found; run weftctl pod ls for all pods`,
    );
  const title = `pod ${titleOf(order.pod)}`;
  await submit({ files, config }, () => files.writeOrder(key, { ...order, removal: { graceSeconds } }));
  if (timeoutMs === 0) {
    say(`${title} is being removed`);
    return;
  }
  const graceMs = (graceSeconds ?? order.pod.graceSeconds) * 1000;
  try {
    await follow(
      { files, key, timeoutMs: timeoutMs + graceMs, onEvent: ({ text }) => say(`${title}: ${text}`) },
      () => (files.order(key)?.uid === order.uid ? undefined : true),
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PodError('daemon', `${title} is not removed yet, the removal continues: ${why}`);
  }
  say(`${title} removed`);
}
