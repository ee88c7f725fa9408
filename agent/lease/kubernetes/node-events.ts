/** Events on the Node: what somebody who runs `kubectl describe node` has to know. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../../../kubernetes/client.ts';
import { ApiError } from '../../../kubernetes/errors.ts';
import { events } from '../../../kubernetes/resource.ts';
import type { Log } from '../../../log/log.ts';

export interface NodeEvent {
  /** One word, `PodCIDRMissing`. */
  readonly reason: string;
  readonly message: string;
}

/** The same is not said again within this time. */
const silenceMs = 600_000;
/** What waits while the API server is unreachable; older ones are dropped. */
const mostWaiting = 10;
const retryMs = 10_000;
/** The API server's limit (apimachinery, validation of events). */
const mostCharacters = 1024;

export class NodeEvents {
  readonly #options: { client: ApiClient; nodeName: string; log: Log; signal: AbortSignal };
  readonly #published = new Map<string, number>();
  #waiting: NodeEvent[] = [];
  #working = false;
  /** Of the Node, once it is known. */
  uid: string | undefined;

  constructor(options: { client: ApiClient; nodeName: string; log: Log; signal: AbortSignal }) {
    this.#options = options;
  }

  /** A warning; published soon, in order. */
  publish(event: NodeEvent): void {
    const now = performance.now();
    const key = `${event.reason} ${event.message}`;
    const before = this.#published.get(key);
    if (before !== undefined && now - before < silenceMs) return;
    for (const [known, atMs] of this.#published) if (now - atMs >= silenceMs) this.#published.delete(known);
    this.#published.set(key, now);
    this.#waiting = [...this.#waiting, event].slice(-mostWaiting);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    const { log, signal } = this.#options;
    this.#working = true;
    for (let event = this.#waiting[0]; event && !signal.aborted; event = this.#waiting[0]) {
      try {
        await this.#create(event);
        this.#waiting = this.#waiting.filter((one) => one !== event);
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof ApiError)) throw error;
        log.debug('node.eventFailed', { err: error });
        const passes = error.kind === 'unreachable' || error.kind === 'throttled';
        if (!passes) this.#waiting = this.#waiting.filter((one) => one !== event);
        else await sleep(error.retryAfterMs ?? retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
    this.#working = false;
  }

  async #create({ reason, message }: NodeEvent): Promise<void> {
    const { client, nodeName, signal } = this.#options;
    const timestamp = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const object = {
      metadata: { name: `${nodeName}.${randomBytes(8).toString('hex')}`, namespace: 'default' },
      // kubectl describe node looks for the Node's uid, and for its name in its place, as the kubelet writes it.
      involvedObject: { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: this.uid ?? nodeName },
      type: 'Warning',
      reason,
      message: message.slice(0, mostCharacters),
      source: { component: 'weftd', host: nodeName },
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      count: 1,
    };
    const place = { ...events, namespace: 'default' };
    await client.request({ verb: 'create', place, body: { type: 'application/json', object }, signal });
  }
}
