/** Writes what the Node has to say: one patch of its status subresource, and only when something differs. */
import { systemClock } from '../../../clock/clock.ts';
import type { ApiClient } from '../../../kubernetes/client.ts';
import { ApiError } from '../../../kubernetes/errors.ts';
import type { JsonObject } from '../../../kubernetes/json.ts';
import { nodes } from '../../../kubernetes/resource.ts';
import type { Log } from '../../../log/log.ts';
import { Backoff } from '../../../retry/backoff.ts';
import { Bell } from '../../../retry/bell.ts';
import type { Annotations } from './annotations.ts';

export interface Condition {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What differs on the Node of that uid; annotations with their prefix. */
export interface NodePatch {
  readonly uid: string;
  readonly annotations: Annotations;
  readonly condition: Condition | undefined;
}

export interface NodeWriterOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** What differs now; undefined: nothing. */
  readonly pending: () => NodePatch | undefined;
  /** The Node as the API server has it after the patch. */
  readonly onNode: (node: JsonObject, patch: NodePatch) => void;
  readonly onTrouble: (error: ApiError) => void;
  /** Somebody else keeps changing what this node writes, or has stopped. */
  readonly onContention: (contended: boolean) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The watch may still tell of the Node as it was before the patch: it gets this time to catch up. */
const settleMs = 500;
/** Patches that follow each other within this time are answers to somebody else's writes: each waits twice as long. */
const calmMs = 60_000;
/** By then there were five of them. */
const contendedMs = 16 * settleMs;

export class NodeWriter {
  /** Resolves when the signal has fired. */
  readonly done: Promise<void>;
  readonly #options: NodeWriterOptions;
  readonly #bell = new Bell(systemClock);

  constructor(options: NodeWriterOptions) {
    this.#options = options;
    this.done = this.#run();
  }

  /** Something may differ. */
  ring(): void {
    this.#bell.ring();
  }

  async #run(): Promise<void> {
    const { pending, onNode, onTrouble, onContention, log, signal } = this.#options;
    let pauseMs = settleMs;
    let patchedMs = Number.NEGATIVE_INFINITY;
    const backoff = new Backoff({ firstMs: 500, longestMs: 30_000, random: Math.random });
    while (!signal.aborted) {
      const patch = pending();
      if (!patch) {
        const calm = performance.now() - patchedMs >= calmMs;
        if (calm) onContention(false);
        await this.#bell.wait(calm ? undefined : calmMs, signal);
        continue;
      }
      try {
        const node = await this.#send(patch);
        log.info('node.patched', { annotations: patch.annotations, condition: patch.condition });
        backoff.reset();
        onNode(node, patch);
        const now = performance.now();
        pauseMs = now - patchedMs < calmMs + pauseMs ? Math.min(2 * pauseMs, calmMs) : settleMs;
        patchedMs = now;
        onContention(pauseMs >= contendedMs);
        await this.#pause(pauseMs);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        onTrouble(error);
        await this.#pause(Math.max(backoff.next(), error.retryAfterMs ?? 0));
      }
    }
  }

  /** Not ended by a ring: that would be one request for each event of a Node that cannot be written. */
  #pause(ms: number): Promise<void> {
    return new Bell(systemClock).wait(ms, this.#options.signal);
  }

  /** The uid in the patch makes the server refuse it for a Node that was created again under the name. */
  #send({ uid, annotations, condition }: NodePatch): Promise<JsonObject> {
    const { client, nodeName, signal } = this.#options;
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const conditions = condition && [
      { type: 'NetworkUnavailable', ...condition, lastHeartbeatTime: now, lastTransitionTime: now },
    ];
    const object = {
      metadata: { uid, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
      ...(conditions ? { status: { conditions } } : {}),
    };
    return client.request({
      verb: 'patch',
      place: { ...nodes, name: nodeName, subresource: 'status' },
      body: { type: 'application/strategic-merge-patch+json', object },
      signal,
    });
  }
}
