/**
 * The current underlay, or the last good one while there is none: a node that loses its address for a moment keeps
 * the overlay that was built on it.
 */
import type { Family } from '../../inet/ip.ts';
import { formatIp, type Ip, sameIp } from '../../inet/ip.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { UnderlayLink } from '../overlay/state.ts';
import type { Underlay } from './choose.ts';

export interface FollowOptions {
  /**
   * Chooses among what the host has now. `known`: addresses in use, the ones used longest first.
   *
   * @throws AgentError where there is no choice
   */
  readonly find: (known: readonly Ip[]) => Promise<Underlay>;
  /** Addresses from an earlier life of the agent. */
  readonly known: readonly Ip[];
  /** A choice that differs from the one before. May throw: that is reported and tried again. */
  readonly onChosen: (underlay: Underlay) => void;
  readonly onWarnings: (warnings: readonly string[]) => void;
  /** Monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** An address that was lost is taken again when it comes back within this time. */
const REMEMBERED_MS = 600_000;

interface Past {
  readonly address: Ip;
  /** Undefined while it is in use. */
  lostMs: number | undefined;
}

export class FollowedUnderlay {
  readonly #options: FollowOptions;
  readonly #now: () => number;
  #past: Past[];
  #current: Underlay | undefined;
  #problem: string | undefined;
  /** Why `onChosen` threw. */
  #notKept: string | undefined;
  #warned = '';

  private constructor(options: FollowOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#past = options.known.map((address) => ({ address, lostMs: undefined }));
  }

  /** Looks for the first time. */
  static async start(options: FollowOptions): Promise<FollowedUnderlay> {
    const underlay = new FollowedUnderlay(options);
    await underlay.refresh();
    return underlay;
  }

  /** The last good one; undefined where there was none in this life. */
  get current(): Underlay | undefined {
    return this.#current;
  }

  /** Why the last look found none, or could not be kept, with the remedy. */
  get problems(): readonly string[] {
    return [this.#problem, this.#notKept].filter((text) => text !== undefined);
  }

  /** Looks again. Returns what changed, as text; undefined where nothing did. Never throws. */
  async refresh(): Promise<string | undefined> {
    const before = this.#current;
    try {
      this.#current = await this.#options.find(this.#past.map(({ address }) => address));
      this.#problem = undefined;
    } catch (error) {
      this.#problem = reasonOf(error);
      return undefined;
    }
    this.#remember(this.#current);
    this.#warn(this.#current);
    const [was, is] = [before && describe(before), describe(this.#current)];
    if (was !== is || this.#notKept !== undefined) this.#tell(this.#current);
    return was === undefined || was === is ? undefined : `${was} -> ${is}`;
  }

  /** The part of one family. */
  of(family: Family): UnderlayLink | undefined {
    return this.#current && underlayPart(this.#current, family);
  }

  #tell(chosen: Underlay): void {
    try {
      this.#options.onChosen(chosen);
      this.#notKept = undefined;
    } catch (error) {
      this.#notKept = reasonOf(error);
    }
  }

  #remember({ addresses }: Underlay): void {
    const now = this.#now();
    const used = addresses.map(({ address }) => address);
    const inUse = (past: Past) => used.some((address) => sameIp(address, past.address));
    for (const past of this.#past) past.lostMs = inUse(past) ? undefined : (past.lostMs ?? now);
    const fresh = used.filter((address) => !this.#past.some((past) => sameIp(past.address, address)));
    this.#past = [
      ...this.#past.filter(({ lostMs }) => lostMs === undefined || now - lostMs < REMEMBERED_MS),
      ...fresh.map((address) => ({ address, lostMs: undefined })),
    ];
  }

  #warn({ warnings }: Underlay): void {
    const text = warnings.join('\n');
    if (text && text !== this.#warned) this.#options.onWarnings(warnings);
    this.#warned = text;
  }
}

/** The part of one family; an underlay is chosen with an address of each. */
export function underlayPart(underlay: Underlay, family: Family): UnderlayLink | undefined {
  const { name, index, mtuBytes, addresses, sources } = underlay;
  const address = addresses.find((candidate) => candidate.address.family === family);
  const source = sources.find((candidate) => candidate.family === family);
  return address && { name, index, mtuBytes, address, source };
}

const describe = ({ name, index, mtuBytes, addresses, sources, publicIps }: Underlay): string =>
  `${name} (link ${index}, MTU ${mtuBytes}, ` +
  `${addresses.map(({ address, length }) => `${formatIp(address)}/${length}`).join(' ')}, ` +
  `source ${sources.map(formatIp).join(' ')}, announced as ${publicIps.map(formatIp).join(' ')})`;
