/** Ends a container: its signal, some patience, SIGKILL. */
import { sleep, systemClock } from '../../clock/clock.ts';
import { type Docker, statusOf } from './daemon.ts';

/**
 * Resolves when it has ended, or is gone. When `interrupt` fires it is left as it is: the next pass ends it.
 */
export async function stopContainer(
  docker: Docker,
  order: { readonly id: string; readonly graceMs: number; readonly interrupt: AbortSignal },
): Promise<void> {
  const { id, graceMs, interrupt } = order;
  const ended = new AbortController();
  const over = AbortSignal.any([interrupt, ended.signal]);
  const gone = docker.askIfThere('wait for a container', (api) =>
    api.getContainer(id).wait({ condition: 'not-running', abortSignal: interrupt }),
  );
  // A rejection is handled where it is awaited.
  gone.catch(() => undefined);
  try {
    await send(docker, id, graceMs > 0 ? await signalOf(docker, id) : 'SIGKILL');
    const patience = sleep(systemClock, graceMs, over).then(
      () => 'late' as const,
      () => 'interrupt' as const,
    );
    if (graceMs > 0 && (await Promise.race([gone, patience])) === 'late') await send(docker, id, 'SIGKILL');
    await gone;
  } finally {
    ended.abort();
  }
}

async function signalOf(docker: Docker, id: string): Promise<string> {
  const found = await docker.askIfThere('look at a container', (api) => api.getContainer(id).inspect());
  const config: object = found?.Config ?? {};
  return 'StopSignal' in config && typeof config.StopSignal === 'string' ? config.StopSignal : 'SIGTERM';
}

async function send(docker: Docker, id: string, signal: string): Promise<void> {
  const CONFLICT = 409;
  try {
    await docker.api.getContainer(id).kill({ signal });
  } catch (error) {
    // It has ended, or is gone: what was wanted.
    if (statusOf(error) === CONFLICT || statusOf(error) === 404) return;
    throw docker.refusal(`send ${signal} to a container`, error);
  }
}
