/** `weftctl pod rm`: the agent is told, and ends and removes the pod. */
import { PodError } from '../errors.ts';
import type { PodKey } from '../manifest/key.ts';
import { titleOf } from '../manifest/pod.ts';
import type { PodFiles } from './files.ts';
import { follow } from './follow.ts';

/**
 * Resolves when nothing of the pod is left; where `timeoutMs` is 0, when it has been told.
 *
 * @throws PodError `unknown`; `agent` or `docker` where it has to wait: it goes once they are back
 */
export async function removePod(of: {
  readonly files: PodFiles;
  readonly key: PodKey;
  /** In place of what the manifest says. */
  readonly graceSeconds: number | undefined;
  readonly timeoutMs: number;
  readonly say: (text: string) => void;
}): Promise<void> {
  const { files, key, graceSeconds, timeoutMs, say } = of;
  const order = files.order(key);
  if (!order)
    throw new PodError(
      'unknown',
      `pod ${key.replace('_', '/').replace(/^default\//, '')} not found; run weftctl pod ls for all pods`,
    );
  const title = `pod ${titleOf(order.pod)}`;
  files.writeOrder(key, { ...order, removal: { graceSeconds } });
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
    throw new PodError('agent', `${title} is marked to be removed, and goes once that can be done: ${why}`);
  }
  say(`${title} removed`);
}
