/** The agent's side of a trace: answers what peers ask about packets that come to this node. It changes nothing. */
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Config } from '../config/config.ts';
import { withDoctorHost } from '../doctor/host.ts';
import type { LeaseStore, StoreRecord } from '../lease/store/store.ts';
import { receivingHalf } from './half.ts';
import { answersFolder, decodeQuestion, encodeAnswer, questionsFolder } from './records.ts';

export interface AnsweringOptions {
  readonly store: Pick<LeaseStore, 'commit'>;
  readonly nodeId: string;
  readonly config: Config;
  readonly log: Pick<Log, 'debug'>;
  readonly signal: AbortSignal;
}

/** Every writer of the store can ask: further questions within a minute are not answered. */
const MOST_A_MINUTE = 30;
const MINUTE_MS = 60_000;
const PATIENCE_MS = 10_000;

export class Answering {
  readonly #options: AnsweringOptions;
  /** When each question was heard, by token, of the last minute. */
  readonly #heardMs = new Map<string, number>();
  #busy: Promise<void> = Promise.resolve();

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /** One question after the other, each once. */
  hear(record: StoreRecord): void {
    const question = decodeQuestion(record.value);
    const token = record.key.slice(questionsFolder.length);
    // Its answer has to die with it.
    if (question?.node !== this.#options.nodeId || record.session === undefined) return;
    const now = performance.now();
    for (const [heard, heardMs] of this.#heardMs) if (now - heardMs > MINUTE_MS) this.#heardMs.delete(heard);
    if (this.#heardMs.has(token) || this.#heardMs.size >= MOST_A_MINUTE) return;
    this.#heardMs.set(token, now);
    this.#busy = this.#busy.then(() => this.#answer(record, { token, ends: question }));
  }

  async #answer(
    { session }: StoreRecord,
    { token, ends }: { readonly token: string; readonly ends: Parameters<typeof receivingHalf>[1] },
  ): Promise<void> {
    const { store, config, log, signal } = this.#options;
    if (signal.aborted) return;
    try {
      const hops = await withDoctorHost({ config, file: 'weft.yaml' }, async (host) =>
        receivingHalf(host, ends),
      );
      const put = { type: 'put', key: answersFolder + token, value: encodeAnswer(hops), session } as const;
      const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
      await store.commit({ compare: [], write: [put] }, patience);
    } catch (error) {
      // The asker goes on without it.
      log.debug('trace.unanswered', { reason: reasonOf(error) });
    }
  }
}
