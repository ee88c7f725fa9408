/** Docker's events. */
import { type PodKey, parseKey } from '../manifest/key.ts';
import type { Docker } from './daemon.ts';
import { label } from './labels.ts';
import { linesOf } from './lines.ts';

/**
 * Calls back with the pod's key for every event of a container with the label of a pod, until the signal fires or the
 * connection ends; `onOpen` once events are delivered.
 *
 * @throws DockerUnreachable
 */
export async function watchEvents(options: {
  readonly docker: Docker;
  readonly onOpen: () => void;
  readonly onEvent: (key: PodKey) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { docker, signal } = options;
  const filters = { type: ['container' as const], label: [label.pod], event: ['start', 'die', 'destroy'] };
  const stream = await docker.ask('watch containers', (api) =>
    api.getEvents({ filters, abortSignal: signal }),
  );
  options.onOpen();
  try {
    for await (const line of linesOf(stream as AsyncIterable<Buffer>)) {
      const key = keyIn(line);
      if (key !== undefined) options.onEvent(key);
    }
  } catch (error) {
    if (!signal.aborted) throw docker.refusal('watch containers', error);
  }
}

function keyIn(line: string): PodKey | undefined {
  try {
    const event = JSON.parse(line) as { Actor?: { Attributes?: Record<string, string> } };
    return parseKey(event.Actor?.Attributes?.[label.pod]);
  } catch {
    // Half a line: the connection broke, and every pod is observed again once it is back.
    return undefined;
  }
}
