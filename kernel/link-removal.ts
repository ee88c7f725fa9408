/**
 * Removing links without waiting for the kernel.
 *
 * The kernel unlinks an interface and says so after about 1 ms, but lets the remover go only after a grace
 * period (RCU) of 13 to 25 ms more. So the request is sent from a thread of libuv's pool, and a removal is
 * complete at the notification, or when the call returns, whichever comes first. Removals that arrive
 * meanwhile gather: links put into one group go with one request, 50 of them as fast as two.
 *
 *   remove(a) ─▶ send a ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ▶ returns
 *                   └▶ a is gone ─▶ send {b, c} ─ ─ ─ ─ ─ ─ ─ ▶ returns
 *   remove(b), remove(c) ┘               └▶ b, c are gone
 */
import { Departures } from './departures.ts';
import { failedWith, type KernelError } from './errors.ts';
import * as link from './link.ts';
import type { NetlinkRequest } from './netlink/message.ts';
import { openRtnl, type Rtnl } from './netlink/rtnl.ts';

/** Removes links of one namespace. */
export interface LinkRemover {
  /**
   * Resolves when the links, and for veths their other ends, are gone; at once for what is gone already.
   *
   * `also`: requests that remove entries of the links, sent together with them and before them. It is no failure if
   * such an entry is missing.
   *
   * @throws KernelError of the first that the kernel does not remove
   */
  remove(indexes: readonly number[], also?: readonly NetlinkRequest[]): Promise<void>;
}

/** The remover of a process that has nothing else to do meanwhile. */
export const waitingRemover = (rtnl: Rtnl): LinkRemover => ({
  async remove(indexes, also = []) {
    const refusals = await removeTogether({ indexes, also }, (requests) => rtnl.attempt(requests));
    for (const refusal of refusals.values()) throw refusal;
  },
});

/** More would gain nothing: each returns 15 ms after the links are gone, and the next starts when they are. */
const calls = 4;
/** A notification that was lost (ENOBUFS) costs no more than the wait for the call's return. */
const pollMs = 100;

interface Removal {
  readonly indexes: ReadonlySet<number>;
  readonly also: readonly NetlinkRequest[];
  readonly left: Set<number>;
  readonly settle: (refusal?: unknown) => void;
}

/** Removes links of the namespace in which it was opened. Uses up to five threads of the pool, and none while idle. */
export class GatheringRemover implements LinkRemover {
  /** Sockets whose last call has returned. */
  readonly #free: Rtnl[];
  readonly #departures = Departures.open();
  #gathered: Removal[] = [];
  /** Sent, and not all gone. */
  readonly #leaving = new Set<Removal>();
  readonly #tasks = new Set<Promise<void>>();
  #listening = false;
  #closed = false;

  private constructor(free: Rtnl[]) {
    this.#free = free;
  }

  static open(): GatheringRemover {
    return new GatheringRemover(Array.from({ length: calls }, openRtnl));
  }

  remove(indexes: readonly number[], also: readonly NetlinkRequest[] = []): Promise<void> {
    if (indexes.length === 0) return Promise.resolve();
    if (this.#closed) return Promise.reject(new Error('links are removed no more: the agent stops'));
    return new Promise((resolve, reject) => {
      const settle = (refusal?: unknown) => (refusal === undefined ? resolve() : reject(refusal));
      const distinct = new Set(indexes);
      this.#gathered.push({ indexes: distinct, also, left: new Set(distinct), settle });
      this.#send();
    });
  }

  /** Accepts no more requests, and resolves when all accepted ones are done. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    for (const rtnl of this.#free) rtnl.close();
    this.#departures.close();
  }

  /** Sends what has gathered, unless it is better to gather more: while a batch is leaving, or every thread waits. */
  #send(): void {
    if (this.#gathered.length === 0 || this.#leaving.size > 0) return;
    const rtnl = this.#free.pop();
    if (!rtnl) return;
    const batch = this.#gathered;
    this.#gathered = [];
    for (const removal of batch) this.#leaving.add(removal);
    // Listening begins before the request is sent: the kernel may be faster than we.
    if (!this.#listening) this.#track(this.#listen());
    this.#track(this.#carryOut(rtnl, batch));
  }

  #track(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  async #carryOut(rtnl: Rtnl, batch: readonly Removal[]): Promise<void> {
    const indexes = batch.flatMap((removal) => [...removal.indexes]);
    const also = batch.flatMap((removal) => removal.also);
    let refusals: ReadonlyMap<number, unknown>;
    try {
      refusals = await removeTogether({ indexes, also }, (requests) => rtnl.attemptAsync(requests));
    } catch (error) {
      refusals = new Map(indexes.map((index) => [index, error]));
    }
    this.#free.push(rtnl);
    // Those that are gone have been settled; for the rest, what the kernel said holds.
    for (const removal of batch) {
      if (this.#leaving.has(removal)) this.#settle(removal, firstOf(removal.indexes, refusals));
    }
    this.#send();
  }

  /** Waits for notifications for as long as something is leaving. */
  async #listen(): Promise<void> {
    this.#listening = true;
    this.#departures.subscribe();
    while (this.#leaving.size > 0) {
      await this.#departures.wait(pollMs);
      for (const index of this.#departures.read()) this.#gone(index);
      this.#send();
    }
    this.#departures.unsubscribe();
    this.#listening = false;
  }

  #gone(index: number): void {
    for (const removal of this.#leaving) {
      if (removal.left.delete(index) && removal.left.size === 0) this.#settle(removal);
    }
  }

  #settle(removal: Removal, refusal?: unknown): void {
    this.#leaving.delete(removal);
    removal.settle(refusal);
  }
}

/** A group of its own for every batch, far from those that people choose by hand. */
let groups = 0;
const nextGroup = (): number => 0x7765_0000 + (groups++ % 0x1_0000);

type Attempt = (
  requests: NetlinkRequest[],
) => Promise<(KernelError | undefined)[]> | (KernelError | undefined)[];

/** Removes links with one request, and returns why which of them is still there. */
async function removeTogether(
  { indexes, also }: { indexes: readonly number[]; also: readonly NetlinkRequest[] },
  attempt: Attempt,
): Promise<ReadonlyMap<number, KernelError>> {
  const first = (outcomes: readonly (KernelError | undefined)[]) => {
    const refused = outcomes
      .slice(0, also.length)
      .find((outcome) => outcome && !failedWith(outcome, 'ENOENT', 'ENODEV'));
    if (refused) throw refused;
    return outcomes.slice(also.length);
  };
  if (indexes.length > 1) {
    const group = nextGroup();
    const joining = indexes.map((index) => link.set({ index, group }));
    const outcomes = first(await attempt([...also, ...joining, link.remove({ group })]));
    // ENODEV: what was gone before we came is as it should be.
    if (!outcomes.some(isRefusal)) return new Map();
  }
  // The kernel removes a group as a whole or not at all: one by one it says which it does not.
  const removals = indexes.map((index) => link.remove({ index }));
  const outcomes = first(await attempt([...also, ...removals]));
  const refused = indexes.map((index, i) => [index, outcomes[i]] as const);
  return new Map(refused.filter((entry): entry is [number, KernelError] => isRefusal(entry[1])));
}

const isRefusal = (outcome: KernelError | undefined): outcome is KernelError =>
  outcome !== undefined && !failedWith(outcome, 'ENODEV');

function firstOf<K, V>(keys: Iterable<K>, values: ReadonlyMap<K, V>): V | undefined {
  for (const key of keys) if (values.has(key)) return values.get(key);
  return undefined;
}
