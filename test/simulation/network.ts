/** One node's way to the server: requests and answers are delayed, lost, doubled; watches are cut. */
import { StoreError } from '../../agent/lease/errors.ts';
import type {
  Granted,
  LeaseStore,
  Snapshot,
  StoreRecord,
  Transaction,
  WatchItem,
} from '../../agent/lease/store/store.ts';
import type { Server } from './server.ts';
import type { World } from './world.ts';

const timeoutMs = 5000;

export interface Host {
  /** Runs it on the node as soon as the node runs: not while it is paused, never once it is dead. */
  deliver(run: () => void): void;
  partitioned(): boolean;
}

export class SimStore implements LeaseStore {
  readonly description = 'sim';
  readonly placement: 'lowest' | 'hashed';
  readonly #world: World;
  readonly #server: Server;
  readonly #host: Host;
  readonly #writer: string;
  /** 0: a perfect network; 1: a bad one. */
  readonly #trouble: () => number;

  /** Fires never: calls under it need not listen to it. */
  readonly #never: AbortSignal;

  constructor(options: {
    world: World;
    server: Server;
    host: Host;
    writer: string;
    trouble: () => number;
    never: AbortSignal;
  }) {
    this.#never = options.never;
    this.#world = options.world;
    this.#server = options.server;
    this.#host = options.host;
    this.#writer = options.writer;
    this.#trouble = options.trouble;
    this.placement = options.world.chance(0.5) ? 'lowest' : 'hashed';
  }

  list(signal: AbortSignal): Promise<Snapshot> {
    return this.#call(signal, () => this.#server.list());
  }

  read(keys: readonly string[], signal: AbortSignal): Promise<readonly StoreRecord[]> {
    return this.#call(signal, () => this.#server.read(keys));
  }

  commit(transaction: Transaction, signal: AbortSignal): Promise<boolean> {
    return this.#call(signal, () => this.#server.commit(transaction, this.#writer));
  }

  grant(ttlSeconds: number, signal: AbortSignal): Promise<Granted> {
    return this.#call(signal, () => this.#server.grant(ttlSeconds));
  }

  keepAlive(session: string, signal: AbortSignal): Promise<number> {
    const sentMs = this.#world.now;
    return this.#call(signal, () => this.#server.keepAlive(session, sentMs));
  }

  silence(session: string, signal: AbortSignal): Promise<number | undefined> {
    return this.#call(signal, () => this.#server.silence(session));
  }

  revoke(session: string, signal: AbortSignal): Promise<void> {
    return this.#call(signal, () => this.#server.revoke(session));
  }

  close(): void {
    // The simulated connection has nothing to close.
  }

  async *watch(cursor: string, signal: AbortSignal): AsyncGenerator<WatchItem> {
    const arrived: (WatchItem | StoreError)[] = [];
    let wake = (): void => undefined;
    const arrive = (item: WatchItem | StoreError): void =>
      this.#host.deliver(() => {
        arrived.push(item);
        wake();
      });
    let broken = false;
    let lastMs = 0;
    const cut = (): void => {
      if (broken) return;
      broken = true;
      // A dead connection is noticed by its keepalive.
      this.#world.after(this.#world.between(100, 15_000), () => arrive(new StoreError('away', 'watch cut')));
    };
    const stop = await this.#call(signal, () =>
      this.#server.watch(cursor, ({ revision, events }) => {
        if (this.#host.partitioned() || this.#world.chance(0.01 * this.#trouble())) cut();
        if (broken) return;
        // A stream keeps its order.
        lastMs = Math.max(lastMs, this.#world.now + this.#delay());
        const item: WatchItem = { type: 'events', events, cursor: String(revision) };
        this.#world.after(lastMs - this.#world.now, () => {
          if (this.#host.partitioned()) cut();
          if (!broken) arrive(item);
        });
      }),
    );
    yield { type: 'events', events: [], cursor };
    const onAbort = (): void => wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const item = arrived.shift();
        if (item instanceof StoreError) throw item;
        if (item) yield item;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      stop();
    }
  }

  #call<T>(signal: AbortSignal, serve: () => T): Promise<T> {
    return new Promise((accept, refuse) => {
      let [resolve, reject]: [(value: T) => void, (error: unknown) => void] = [accept, refuse];
      if (signal !== this.#never) {
        signal.throwIfAborted();
        const abort = (): void => refuse(new Error('aborted'));
        const heard = (): void => signal.removeEventListener('abort', abort);
        signal.addEventListener('abort', abort, { once: true });
        resolve = (value) => {
          heard();
          accept(value);
        };
        reject = (error) => {
          heard();
          refuse(error);
        };
      }
      const world = this.#world;
      // A call that is answered needs no time-out: the queue is shorter by an event.
      const fail = (): void =>
        world.after(timeoutMs, () => this.#host.deliver(() => reject(new StoreError('away', 'time-out'))));
      const ask = (answered: boolean): void => {
        const thereMs = this.#delay();
        const backMs = this.#delay();
        if (answered && thereMs + backMs > timeoutMs) fail();
        world.after(thereMs, () => {
          // A partition swallows what is on its way, too.
          if (this.#host.partitioned()) return answered ? fail() : undefined;
          let outcome: () => void;
          try {
            const value = serve();
            outcome = () => resolve(value);
          } catch (error) {
            outcome = () => reject(error);
          }
          if (!answered) return;
          if (world.chance(0.03 * this.#trouble())) return fail();
          world.after(backMs, () => (this.#host.partitioned() ? fail() : this.#host.deliver(outcome)));
        });
      };
      if (this.#host.partitioned() || world.chance(0.03 * this.#trouble())) return fail();
      ask(true);
      if (world.chance(0.02 * this.#trouble())) ask(false);
    });
  }

  #delay(): number {
    const world = this.#world;
    if (world.chance(0.03 * this.#trouble())) return world.between(100, 12_000);
    return 1 + world.random() * 15;
  }
}
