/**
 * The podCIDRs of Nodes that the watch, which has metadata only, tells of: one GET for each, a few at a time. One that
 * has none yet is asked for again on its next event.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../../../kubernetes/client.ts';
import { ApiError } from '../../../kubernetes/errors.ts';
import { type JsonObject, objectIn, textIn } from '../../../kubernetes/json.ts';
import { nodes } from '../../../kubernetes/resource.ts';
import { Backoff } from '../../../retry/backoff.ts';

const atOnce = 4;

export interface PodCidrRequestsOptions {
  readonly client: ApiClient;
  /** The whole Node, with the uid that it has by now. */
  readonly onNode: (name: string, uid: string, node: JsonObject) => void;
  /** Called with the error of a request, with undefined when one is answered. */
  readonly onTrouble: (error: ApiError | undefined) => void;
  readonly signal: AbortSignal;
}

export class PodCidrRequests {
  readonly #options: PodCidrRequestsOptions;
  readonly #wanted = new Set<string>();
  #running = 0;

  constructor(options: PodCidrRequestsOptions) {
    this.#options = options;
  }

  /** Asks soon; not twice at the same time. */
  want(name: string): void {
    this.#wanted.add(name);
    if (this.#running < atOnce) void this.#work();
  }

  async #work(): Promise<void> {
    const { client, onNode, onTrouble, signal } = this.#options;
    this.#running++;
    const backoff = new Backoff({ firstMs: 500, longestMs: 30_000, random: Math.random });
    for (const [name] of this.#wanted.entries()) {
      this.#wanted.delete(name);
      try {
        const node = await client.request({ verb: 'get', place: { ...nodes, name }, signal });
        onNode(name, textIn(objectIn(node, 'metadata'), 'uid') ?? '', node);
        backoff.reset();
        onTrouble(undefined);
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof ApiError)) throw error;
        // Deleted meanwhile: the watch says so.
        if (error.kind === 'not-found') continue;
        this.#wanted.add(name);
        onTrouble(error);
        await sleep(Math.max(backoff.next(), error.retryAfterMs ?? 0), undefined, { signal }).catch(
          () => undefined,
        );
      }
    }
    this.#running--;
  }
}
