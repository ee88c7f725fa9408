/**
 * The addresses of one network: which are taken, and which comes next. The truth is in the directory
 * (directory.ts); what is kept in memory saves reading it for each pod and may be behind:
 *
 * - an address that another process has taken meanwhile: taking it fails, and the next one is tried;
 * - one that another process has released: it counts as taken, until everything seems to be;
 * - one taken and released by others: its place in the order would be wrong, so the queue of released
 *   addresses is read again whenever its version has changed.
 */
import { formatIp, type Ip } from '../../inet/ip.ts';
import { isOlderThanBoot, readBootId } from '../../kernel/boot.ts';
import { isErrno } from '../../kernel/errno.ts';
import { CniError } from '../errors.ts';
import type { RangeSet } from '../protocol/network.ts';
import { type Found, NetworkDirectory } from './directory.ts';
import { hostLocalAddresses } from './hostlocal.ts';
import { FreeOrder } from './order.ts';
import { formatRangeSet, isGateway, isUnusable } from './range.ts';
import { type Owner, sameOwner } from './record.ts';

/** How long a full range goes without another look at what its records say. */
const RECLAIM_INTERVAL_MS = 10_000;

export interface StoreOptions {
  readonly runDir: string;
  readonly network: string;
  /** Where host-local's `dataDir` is, for addresses of pods made by another plugin; undefined: nowhere. */
  readonly hostLocalDir: string | undefined;
  /** Addresses that pods have, whatever is on disk: asked where the directory is of another boot, or lost. */
  readonly living?: () => readonly { readonly address: Ip; readonly owner: Owner }[];
}

export class AddressStore {
  readonly #network: string;
  readonly #directory: NetworkDirectory;
  readonly #hostLocalDir: string | undefined;
  readonly #living: NonNullable<StoreOptions['living']>;
  readonly #bootId = readBootId();
  #order = new FreeOrder({ taken: [], released: [] });
  #version: bigint | undefined;
  #reclaimedAtMs = Number.NEGATIVE_INFINITY;

  /** Touches nothing: a network that allocates nothing leaves no directory. */
  constructor(options: StoreOptions) {
    this.#network = options.network;
    this.#directory = new NetworkDirectory(options.runDir, options.network);
    this.#hostLocalDir = options.hostLocalDir;
    this.#living = options.living ?? (() => []);
  }

  /**
   * Takes the address of the set that has been free for longest.
   *
   * @throws CniError addresses-exhausted; input-output where the directory cannot be used.
   */
  allocate(set: RangeSet, owner: Owner): Ip {
    return this.#guarded(() => {
      this.#refresh();
      return this.#takeNext(set, owner) ?? this.#takeReclaimed(set, owner) ?? this.#exhausted(set);
    });
  }

  /**
   * Takes a particular address.
   *
   * @throws CniError address-not-available where it is a gateway, or somebody else's.
   */
  allocateRequested(set: RangeSet, request: { address: Ip; owner: Owner }): Ip {
    const { address, owner } = request;
    const text = formatIp(address);
    if (isGateway(set, address)) {
      throw new CniError('address-not-available', `requested ip ${text} is subnet's gateway`);
    }
    if (isUnusable(set, address)) {
      throw new CniError('address-not-available', `requested IP address ${text} is no host's address`);
    }
    return this.#guarded(() => {
      this.#refresh();
      if (!this.#order.isTaken(address) && this.#take(address, owner)) return address;
      this.#reclaim();
      if (!this.#order.isTaken(address) && this.#take(address, owner)) return address;
      throw new CniError(
        'address-not-available',
        `requested IP address ${text} is not available in range set ${formatRangeSet(set)}: another pod has it`,
      );
    });
  }

  /** Frees an address if it is the owner's (or nobody can tell whose); false if it is not. */
  release(address: Ip, owner: Owner): boolean {
    return this.#guarded(() => {
      const found = this.#directory.find(address);
      if (!found || (found.record && !sameOwner(found.record, owner))) return false;
      return this.#release(address, found);
    });
  }

  /**
   * Frees whatever the owner has, and what it left half written. Reads every record: for an attachment whose own
   * record is lost or was not completed.
   */
  releaseAll(owner: Owner): Ip[] {
    return this.#guarded(() => {
      this.#directory.forgetDraft(owner);
      return this.#directory.taken().filter((address) => {
        const found = this.#directory.find(address);
        return found?.record && sameOwner(found.record, owner) && this.#release(address, found);
      });
    });
  }

  /** Who has the address in this boot; undefined if nobody, `unreadable` if the record is damaged. */
  ownerOf(address: Ip): Owner | 'unreadable' | undefined {
    return this.#guarded(() => {
      const found = this.#directory.find(address);
      return found && (found.record ?? 'unreadable');
    });
  }

  /**
   * Frees every address without an owner that lives, as `lives` has it; `unreadable` stands for a record that
   * is damaged. Returns what was freed.
   */
  sweep(lives: (owner: Owner | 'unreadable', address?: Ip) => boolean): Ip[] {
    return this.#guarded(() => {
      this.#directory.forgetDrafts(lives);
      return this.#directory.taken().filter((address) => {
        const found = this.#directory.find(address);
        return found && !lives(found.record ?? 'unreadable', address) && this.#release(address, found);
      });
    });
  }

  /** True if the set has an address for one more pod. */
  hasFree(set: RangeSet): boolean {
    return this.#guarded(() => {
      this.#refresh();
      if (this.#order.next(set)) return true;
      this.#reclaim();
      return this.#order.next(set) !== undefined;
    });
  }

  #takeNext(set: RangeSet, owner: Owner): Ip | undefined {
    for (let address = this.#order.next(set); address; address = this.#order.next(set)) {
      if (this.#take(address, owner)) return address;
    }
    return undefined;
  }

  /**
   * None is left only if a fresh look shows none: those that the last look showed may all have gone to
   * others, who freed as many meanwhile. Each turn means that somebody was given one.
   */
  #takeReclaimed(set: RangeSet, owner: Owner): Ip | undefined {
    this.#reclaim();
    while (this.#order.next(set)) {
      const address = this.#takeNext(set, owner);
      if (address) return address;
      this.#load();
    }
    return undefined;
  }

  #exhausted(set: RangeSet): never {
    throw new CniError(
      'addresses-exhausted',
      `no IP addresses available in range set: ${formatRangeSet(set)} (network ${this.#network})`,
      'remove pods, run the runtime’s garbage collection, or give the network a larger range',
    );
  }

  #take(address: Ip, owner: Owner): boolean {
    const { containerId, ifname } = owner;
    const record = { containerId, ifname, bootId: this.#bootId, since: new Date().toISOString() };
    const taken = this.#directory.take(address, record);
    const marker = this.#order.take(address);
    if (taken && marker) {
      this.#directory.forget(marker);
      this.#version = this.#directory.releasedVersion();
    }
    return taken;
  }

  #release(address: Ip, found: Found): boolean {
    const released = this.#directory.release(address, found);
    if (!released) return false;
    this.#order.release(released);
    if (this.#version !== undefined) this.#version = this.#directory.releasedVersion();
    return true;
  }

  #refresh(): void {
    if (this.#version !== undefined && this.#directory.releasedVersion() === this.#version) return;
    if (this.#directory.bootId() !== this.#bootId) this.#startBoot();
    this.#load();
  }

  /** The first look after a boot: what is recorded of another one is nobody's. */
  #startBoot(): void {
    this.#directory.ensure();
    this.#directory.exclusively((setBootId) => {
      if (this.#directory.bootId() === this.#bootId) return;
      this.#dropOtherBoots();
      this.#directory.forgetOrder();
      this.#takeLiving();
      setBootId(this.#bootId);
    });
  }

  /** What pods have is theirs, also where the record of it was removed. */
  #takeLiving(): void {
    for (const { address, owner } of this.#living()) {
      this.#directory.take(address, { ...owner, bootId: this.#bootId, since: new Date().toISOString() });
    }
  }

  /** Where nothing seems free: looks at what the records say, and at what others have released. */
  #reclaim(): void {
    if (Date.now() - this.#reclaimedAtMs > RECLAIM_INTERVAL_MS) {
      this.#reclaimedAtMs = Date.now();
      this.#directory.exclusively(() => this.#dropOtherBoots());
    }
    this.#load();
  }

  /**
   * Only under the lock: what is found to be old here may otherwise have been dropped by another process and
   * taken anew. A record that cannot be read is taken for one of this boot unless the file is older: an
   * address too few is better than one given twice.
   */
  #dropOtherBoots(): void {
    for (const address of this.#directory.taken()) {
      const found = this.#directory.find(address);
      if (!found) continue;
      const old = found.record ? found.record.bootId !== this.#bootId : isOlderThanBoot(found.mtimeMs);
      if (old) this.#directory.drop(address);
    }
  }

  #load(): void {
    this.#version = this.#directory.releasedVersion();
    const taken = [
      ...this.#directory.taken(),
      ...(this.#hostLocalDir === undefined ? [] : hostLocalAddresses(this.#hostLocalDir)),
    ];
    this.#order = new FreeOrder({ taken, released: this.#directory.released() });
  }

  /** Runs the block; once more if somebody removed the directories meanwhile. */
  #guarded<T>(block: () => T): T {
    try {
      return block();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw this.#explained(error);
    }
    try {
      this.#version = undefined;
      this.#directory.ensure();
      this.#directory.exclusively(() => this.#takeLiving());
      return block();
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof Error && 'syscall' in error)) return error;
    return new CniError(
      'input-output',
      `cannot keep the addresses of network ${this.#network}: ${error.message}`,
      `${this.#directory.path} must be writable by root and have space left`,
    );
  }
}
