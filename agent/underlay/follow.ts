/** The underlay as it is now, and what a change of it means: peers are told, and pods get another MTU. */
import type { Family } from '../../inet/ip.ts';
import { formatIp, type Ip } from '../../inet/ip.ts';
import type { OverlayState } from '../overlay/state.ts';
import type { Underlay } from './choose.ts';

export class FollowedUnderlay {
  readonly #find: FollowOptions['find'];
  #current: Underlay;
  #warned = '';
  readonly #onWarnings: (warnings: readonly string[]) => void;

  private constructor(options: FollowOptions, current: Underlay) {
    this.#find = options.find;
    this.#onWarnings = options.onWarnings;
    this.#current = current;
    this.#warn();
  }

  static async find(options: FollowOptions): Promise<FollowedUnderlay> {
    return new FollowedUnderlay(options, await options.find(options.known));
  }

  get current(): Underlay {
    return this.#current;
  }

  /** Looks again. Returns what changed, in words; undefined where nothing did. */
  async refresh(): Promise<string | undefined> {
    const before = this.#current;
    this.#current = await this.#find(before.addresses.map(({ address }) => address));
    this.#warn();
    const [was, is] = [describe(before), describe(this.#current)];
    return was === is ? undefined : `${was} -> ${is}`;
  }

  /** The part of one family. */
  of(family: Family): OverlayState['underlay'] {
    return underlayPart(this.#current, family);
  }

  #warn(): void {
    const text = this.#current.warnings.join('\n');
    if (text && text !== this.#warned) this.#onWarnings(this.#current.warnings);
    this.#warned = text;
  }
}

/** The part of one family; an underlay is chosen with an address of each. */
export function underlayPart(underlay: Underlay, family: Family): OverlayState['underlay'] {
  const { name, index, mtuBytes, addresses } = underlay;
  const address = addresses.find((candidate) => candidate.address.family === family);
  if (!address) throw new Error(`the underlay ${name} was chosen without an ${family} address`);
  return { name, index, mtuBytes, address };
}

export interface FollowOptions {
  /** `known`: the addresses that were chosen before. */
  readonly find: (known: readonly Ip[]) => Promise<Underlay>;
  /** What peers may know from an earlier life. */
  readonly known: readonly Ip[];
  readonly onWarnings: (warnings: readonly string[]) => void;
}

const describe = ({ name, index, mtuBytes, addresses, publicIps }: Underlay): string =>
  `${name} (link ${index}, MTU ${mtuBytes}, ${addresses.map(({ address, length }) => `${formatIp(address)}/${length}`).join(' ')}, told ${publicIps.map(formatIp).join(' ')})`;
