/** This host's underlay: chosen by the configuration in use, followed, and saved on disk for the next start. */
import type { Family, Ip } from '../../inet/ip.ts';
import { openRtnl } from '../../kernel/netlink/rtnl.ts';
import type { Log } from '../../log/log.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import type { UnderlayLink } from '../overlay/state.ts';
import type { Underlay } from './choose.ts';
import { choiceKey, findUnderlay } from './find-underlay.ts';
import { FollowedUnderlay } from './follow.ts';
import { readSavedUnderlay, type SavedUnderlay, writeSavedUnderlay } from './saved-underlay.ts';
import { type Resolve, StoreAddresses } from './store-addresses.ts';

export interface HostUnderlayOptions {
  /** As of now. */
  readonly config: () => Config;
  /** The configuration's name, for messages. */
  readonly file: string;
  /** What peers know from an earlier life. */
  readonly announced: readonly Ip[];
  readonly resolve?: Resolve;
  /** Nothing is written. */
  readonly readOnly?: boolean;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly signal: AbortSignal;
}

export class HostUnderlay {
  readonly #options: HostUnderlayOptions;
  readonly #saved: SavedUnderlay | undefined;
  readonly #store: StoreAddresses;
  readonly #rtnl = openRtnl();
  #followed: FollowedUnderlay | undefined;
  /** The search that is under way: the socket is for one at a time. */
  #searching: Promise<unknown> = Promise.resolve();
  /** The configuration that chose the known addresses. */
  #chosenBy: string | undefined;
  #inUse: (address: Ip) => string | undefined = () => undefined;
  #onLookedUp: () => void = () => undefined;

  /** Looks for the underlay. Waits for the name server only where no address of the store is known. */
  static async find(options: HostUnderlayOptions): Promise<HostUnderlay> {
    const saved = readSavedUnderlay(options.config().stateDir);
    const store = new StoreAddresses({
      ...options,
      store: options.config().store,
      known: saved?.names ?? {},
      onChange: () => onLookedUp(),
    });
    let onLookedUp: () => void = () => undefined;
    if (options.config().underlay.some(({ kind }) => kind === 'auto')) await store.first();
    const underlay = new HostUnderlay(options, saved, store);
    onLookedUp = () => underlay.#onLookedUp();
    await underlay.#start();
    return underlay;
  }

  private constructor(options: HostUnderlayOptions, saved: SavedUnderlay | undefined, store: StoreAddresses) {
    this.#options = options;
    this.#saved = saved;
    this.#store = store;
    this.#chosenBy = saved?.chosenBy;
    options.signal.addEventListener('abort', () => this.#rtnl.close(), { once: true });
  }

  async #start(): Promise<void> {
    const options = this.#options;
    const saved = this.#saved;
    const lastChosen =
      saved && saved.chosenBy === choiceKey(options.config())
        ? saved.addresses.map(({ address }) => address)
        : [];
    this.#followed = await FollowedUnderlay.start({
      find: (known) => this.#find(options.config(), known),
      known: [...lastChosen, ...options.announced],
      onChosen: (underlay) => this.#save(underlay),
      onWarnings: (warnings) => options.log.warn('underlay.warnings', { warnings }),
    });
  }

  /** The last good one; undefined where there was none in this life. */
  get current(): Underlay | undefined {
    return this.#followed?.current;
  }

  /** Why the last look found none, or could not be kept, with the remedy. */
  get problems(): readonly string[] {
    return this.#followed?.problems ?? [];
  }

  /** The MTU of the underlay, this one or the one of before. */
  get mtuBytes(): number {
    return this.current?.mtuBytes ?? this.#saved?.mtuBytes ?? DEFAULT_MTU_BYTES;
  }

  of(family: Family): UnderlayLink | undefined {
    return this.#followed?.of(family);
  }

  /** `inUse` names the living peer that has announced an address; `onLookedUp`: the store has other addresses. */
  watch(options: { inUse: (address: Ip) => string | undefined; onLookedUp: () => void }): void {
    this.#inUse = options.inUse;
    this.#onLookedUp = options.onLookedUp;
  }

  /** Looks again. Returns what changed, as text; undefined where nothing did. Sends no packet, and never throws. */
  async refresh(): Promise<string | undefined> {
    const change = await this.#followed?.refresh();
    if (change) {
      this.#options.log.info('underlay.changed', { change });
      // The name server may give another answer here (split horizon); a pass does not wait for it.
      void this.#store.lookUp();
    }
    return change;
  }

  /** @throws AgentError where this configuration chooses differently from the one in use and finds no underlay */
  async accept(config: Config): Promise<void> {
    if (choiceKey(config) === choiceKey(this.#options.config())) return;
    const known = this.current?.addresses.map(({ address }) => address) ?? [];
    await this.#find(config, known);
  }

  #find(config: Config, known: readonly Ip[]): Promise<Underlay> {
    const search = this.#searching.then(() => this.#search(config, known));
    this.#searching = search.catch(() => undefined);
    return search;
  }

  #search(config: Config, known: readonly Ip[]): Promise<Underlay> {
    const { file } = this.#options;
    return findUnderlay({
      config,
      file,
      rtnl: this.#rtnl,
      known,
      stays: this.#chosenBy === choiceKey(config),
      storeAddresses: this.#store.addresses,
      storeProblem: this.#store.problem,
      inUse: this.#inUse,
    });
  }

  #save(underlay: Underlay): void {
    const config = this.#options.config();
    this.#chosenBy = choiceKey(config);
    if (this.#options.readOnly) return;
    writeSavedUnderlay(config.stateDir, { underlay, chosenBy: this.#chosenBy, names: this.#store.known });
  }
}

/** Ethernet's, where no underlay was ever seen. */
const DEFAULT_MTU_BYTES = 1500;

/** @throws AgentError with why there is no underlay */
export function requireUnderlay(underlay: HostUnderlay): Underlay {
  if (underlay.current) return underlay.current;
  throw new AgentError('underlay', underlay.problems.join('; '));
}
