/**
 * Where the store is, as addresses: names are looked up when the agent starts and when the host's addresses or routes
 * change, never inside a pass. While a name is unresolved, the addresses known from before stand in for it.
 */
import { lookup } from 'node:dns/promises';
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import { kubeconfigAccess } from '../../kubernetes/kubeconfig.ts';
import type { Log } from '../../log/log.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { StoreConfig } from '../config/config.ts';

/** Turns a name into addresses; throws where it is unresolved. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/** Addresses by name, as text: what is kept between two lives of an agent. */
export type KnownNames = Readonly<Record<string, readonly string[]>>;

export interface StoreAddressesOptions {
  readonly store: StoreConfig;
  readonly known: KnownNames;
  readonly resolve?: Resolve;
  /** A look-up gave other addresses than were known. */
  readonly onChange: () => void;
  readonly log: Pick<Log, 'warn'>;
  readonly signal: AbortSignal;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

export class StoreAddresses {
  readonly #options: StoreAddressesOptions;
  readonly #names: readonly string[];
  readonly #written: readonly Ip[];
  readonly #resolved = new Map<string, readonly Ip[]>();
  readonly #failures = new Map<string, string>();
  #running: Promise<void> | undefined;
  #again = false;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: StoreAddressesOptions) {
    this.#options = options;
    const { store, known, signal } = options;
    const hosts = hostsOf(store);
    this.#written = hosts.flatMap((host) => parseIp(host) ?? []);
    this.#names = [...new Set(hosts.filter((host) => !parseIp(host)))];
    for (const name of this.#names) {
      const addresses = (known[name] ?? []).flatMap((text) => parseIp(text) ?? []);
      if (addresses.length) this.#resolved.set(name, addresses);
    }
    signal.addEventListener('abort', () => clearTimeout(this.#retry), { once: true });
  }

  /** Those written in the configuration, and those of the names that have been resolved. */
  get addresses(): readonly Ip[] {
    return [...this.#written, ...[...this.#resolved.values()].flat()];
  }

  /** Why no address is known; undefined where one is, or where the store is a folder of this machine. */
  get problem(): string | undefined {
    if (this.addresses.length || this.#names.length === 0) return undefined;
    const why = [...this.#failures.values()];
    return (
      `the name of the store is unresolved (${why.join(', ') || 'not looked up yet'}); write ` +
      'addresses in store.endpoints, or name the underlay'
    );
  }

  /** What was resolved, for another life of the agent. */
  get known(): KnownNames {
    return Object.fromEntries([...this.#resolved].map(([name, ips]) => [name, ips.map(formatIp)]));
  }

  /** Resolves at once where an address is known; else when the look-up is over. Never throws. */
  async first(): Promise<void> {
    const over = this.lookUp();
    if (this.problem !== undefined) await over;
  }

  /** Looks all names up, again where one is unresolved. Resolves when it is over; never throws. */
  lookUp(): Promise<void> {
    if (this.#names.length === 0 || this.#options.signal.aborted) return Promise.resolve();
    this.#again = this.#running !== undefined;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) void this.lookUp();
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    clearTimeout(this.#retry);
    const before = texts(this.addresses);
    await Promise.all(this.#names.map((name) => this.#lookUpOne(name)));
    if (this.#options.signal.aborted) return;
    if (this.#failures.size) {
      this.#retry = setTimeout(() => void this.lookUp(), this.#retryMs);
      this.#retry.unref();
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    } else {
      this.#retryMs = FIRST_RETRY_MS;
    }
    if (texts(this.addresses) !== before) this.#options.onChange();
  }

  async #lookUpOne(name: string): Promise<void> {
    const { resolve = systemResolve, log } = this.#options;
    try {
      const found = (await resolve(name)).flatMap((text) => parseIp(text) ?? []);
      if (found.length === 0) throw new Error(`${name} has no address`);
      this.#resolved.set(name, found);
      this.#failures.delete(name);
    } catch (error) {
      if (!this.#failures.has(name)) {
        const known = (this.#resolved.get(name) ?? []).map(formatIp);
        log.warn('underlay.lookupFailed', { name, reason: reasonOf(error), known });
      }
      this.#failures.set(name, reasonOf(error));
    }
  }
}

/** In an order of its own: name servers turn theirs around. */
const texts = (addresses: readonly Ip[]): string => addresses.map(formatIp).toSorted().join(' ');

const loopback = /^(localhost|127(\.\d+){3}|::1)$/;

/** Routes do not show an API server that is reached by a Service address, or by a proxy on loopback. */
function hostsOf(store: StoreConfig): string[] {
  if (store.type === 'etcd') return store.endpoints.map(({ host }) => host);
  if (store.type === 'file' || store.kubeconfig === undefined) return [];
  const host = kubeconfigAccess(store.kubeconfig).server.hostname.replace(/^\[|\]$/g, '');
  return loopback.test(host) ? [] : [host];
}
