/**
 * In which order free addresses are handed out: the one that has been free for longest comes first, so that
 * an address just freed is the last to be used again. Pure: the store tells it what it learns from disk.
 *
 * ```
 *   start                cursor                          end
 *   |  taken or released  |  never used since the boot    |
 *   +---------------------+-------------------------------+
 *        ^ released: a queue, oldest first
 * ```
 * Addresses never used have been free for longest and are taken from the cursor on; then the queue is. A
 * queue of `QUEUE_BOUND` is long enough to make its head as good as never used: so the store's memory of
 * released addresses stays bounded also in a /64.
 */
import { addToIp, type Family, formatIp, type Ip } from '../../inet/ip.ts';
import type { RangeSet } from '../protocol/network.ts';
import { formatRangeSet, isUnusable } from './range.ts';

export const QUEUE_BOUND = 1024;

/** An address that was in use once; `marker` is the store's name for the fact. */
export interface Released {
  readonly address: Ip;
  readonly marker: string;
}

interface Cursor {
  range: number;
  offset: bigint;
}

export class FreeOrder {
  readonly #taken = new Set<string>();
  readonly #released: Record<Family, Map<string, Released>> = { ipv4: new Map(), ipv6: new Map() };
  readonly #cursors = new Map<string, Cursor>();

  /** `released` is ordered, oldest first. */
  constructor(known: { taken: Iterable<Ip>; released: Iterable<Released> }) {
    for (const address of known.taken) this.#taken.add(formatIp(address));
    for (const released of known.released) {
      if (!this.#taken.has(formatIp(released.address))) this.release(released);
    }
  }

  /** The free address to be handed out next, as far as is known; undefined if none is. */
  next(set: RangeSet): Ip | undefined {
    const family = set[0]?.subnet.family;
    if (!family) return undefined;
    const oldest = this.#oldestReleased(set, family);
    if (oldest && this.#released[family].size >= QUEUE_BOUND) return oldest;
    return this.#neverUsed(set) ?? oldest;
  }

  isTaken(address: Ip): boolean {
    return this.#taken.has(formatIp(address));
  }

  /** Notes that the address is in use; returns the marker that has become void. */
  take(address: Ip): string | undefined {
    const key = formatIp(address);
    const marker = this.#released[address.family].get(key)?.marker;
    this.#released[address.family].delete(key);
    this.#taken.add(key);
    return marker;
  }

  /** Notes that the address is free from now on. */
  release(released: Released): void {
    const key = formatIp(released.address);
    const queue = this.#released[released.address.family];
    this.#taken.delete(key);
    queue.delete(key);
    queue.set(key, released);
  }

  #oldestReleased(set: RangeSet, family: Family): Ip | undefined {
    for (const { address } of this.#released[family].values()) {
      if (!isUnusable(set, address)) return address;
    }
    return undefined;
  }

  #neverUsed(set: RangeSet): Ip | undefined {
    const cursor = this.#cursorOf(set);
    for (; cursor.range < set.length; cursor.range++, cursor.offset = 0n) {
      const range = set[cursor.range];
      if (!range) break;
      for (; range.start.value + cursor.offset <= range.end.value; cursor.offset++) {
        const address = addToIp(range.start, cursor.offset);
        const key = formatIp(address);
        const used = this.#taken.has(key) || this.#released[address.family].has(key);
        if (!used && !isUnusable(set, address)) return address;
      }
    }
    return undefined;
  }

  #cursorOf(set: RangeSet): Cursor {
    const key = `${formatRangeSet(set)} but ${set.map((range) => formatIp(range.gateway)).join()}`;
    const known = this.#cursors.get(key);
    if (known) return known;
    const cursor = { range: 0, offset: 0n };
    this.#cursors.set(key, cursor);
    return cursor;
  }
}
