/** Makes and takes away pods' attachments for whoever calls on the CNI socket. */
import { join } from 'node:path';
import { GatheringRemover } from '../../kernel/link-removal.ts';
import type { Log } from '../../log/log.ts';
import { createVerbs } from '../../plugin/attach/verbs.ts';
import { DeferredDels } from '../../plugin/contract/deferred-dels.ts';
import { CniError } from '../../plugin/errors.ts';
import { answer } from '../../plugin/protocol/answer.ts';
import { Tidying } from '../engine.ts';
import { listenAt, takePassedSocket } from './cni-listen.ts';
import { type CallRecord, CniServer } from './cni-server.ts';
import type { Health } from './health/health.ts';

export interface PodsOptions {
  readonly runDir: string;
  readonly health: Health;
  /** Whether pods may be there that feel it when something ceases to be well. */
  readonly inUse: () => boolean;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly onCall: (record: CallRecord) => void;
  /** How often it is looked for what runtimes have forgotten; default 30 s. */
  readonly sweepMs?: number;
  readonly signal: AbortSignal;
}

/** Calls that have begun are given this long when the agent stops. */
const DRAIN_MS = 10_000;
const SWEEP_MS = 30_000;
const TOMBSTONES_MS = 30_000;

/**
 * Listens, and resolves then with a promise of the end: when the signal has fired, and the calls that had
 * begun are answered.
 *
 * @throws AgentError `listen` where another agent has the socket
 */
export async function servePods(options: PodsOptions): Promise<{ readonly done: Promise<void> }> {
  const { runDir, log, sweepMs = SWEEP_MS, signal } = options;
  const remover = GatheringRemover.open();
  const verbs = createVerbs({
    runDir,
    removeLinks: (indexes, also) => remover.remove(indexes, also),
    checkHealth: () => refuseUnlessReady(options),
  });
  const tombstones = new DeferredDels({
    directory: join(runDir, 'tombstones'),
    answer: (call) => answer(call, verbs),
    log,
  });
  const tidying = new Tidying(signal);
  const onCall = (record: CallRecord): void => {
    tidying.called();
    options.onCall(record);
  };
  const server = new CniServer({ answer: tombstones.guard(), log, onCall });
  server.listen(takePassedSocket(process.env) ?? (await listenAt(join(runDir, 'cni.sock'))));
  await tombstones.keepReplaying({ periodMs: TOMBSTONES_MS, signal });
  const sweeping = setInterval(() => {
    verbs.sweep().catch((error: unknown) => log.error('pods.sweepFailed', { err: error }));
  }, sweepMs);
  const stop = async (): Promise<void> => {
    clearInterval(sweeping);
    await server.drain(DRAIN_MS);
    verbs.close();
    await remover.close();
  };
  const done = new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => stop().then(resolve, reject), { once: true });
  });
  return { done };
}

/** STATUS: what keeps the agent from being ready, and whether pods that run feel it. */
function refuseUnlessReady({ health, inUse }: PodsOptions): void {
  const [reason] = health.reasons;
  if (!reason) return;
  throw new CniError(
    reason.code !== 'store' && inUse() ? 'limited-connectivity' : 'not-available',
    reason.text,
    `since ${reason.since}`,
  );
}
