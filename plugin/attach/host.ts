/**
 * What a process that attaches pods keeps open and remembers between calls. Nothing in it is trusted: each
 * memory is one that the kernel or the directory contradicts when it is out of date.
 */
import { readBootId } from '../../kernel/boot.ts';
import { linkByName } from '../../kernel/link.ts';
import { type LinkRemover, waitingRemover } from '../../kernel/link-removal.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { DataDirs } from '../ipam/data-dirs.ts';
import { AddressStore } from '../ipam/store.ts';
import type { OpenedName } from '../protocol/call.ts';
import { LeaseReader } from './lease.ts';
import { livingAddresses } from './living.ts';
import type { Step } from './step.ts';
import { allSteps } from './steps.ts';

export interface HostOptions {
  /** The directory that agent and plugin share, `/run/weft`. */
  readonly runDir: string;
  /** In the order in which they are put up; taken down in reverse. Default: all there are. */
  readonly steps?: readonly Step[];
  /** Default: by the host's socket, which blocks for an RCU grace period. */
  readonly removeLinks?: LinkRemover['remove'];
  /** Where pods of another plugin may have had their addresses; default `/var/lib/cni/networks`. */
  readonly hostLocalDir?: string;
  /** What else keeps this node from attaching pods well; throws `CniError` not-available or limited-connectivity. */
  readonly checkHealth?: () => void | Promise<void>;
}

export class Host {
  readonly runDir: string;
  readonly bootId = readBootId();
  readonly steps: readonly Step[];
  readonly removeLinks: LinkRemover['remove'];
  readonly checkHealth: (() => void | Promise<void>) | undefined;
  readonly hostLocalDir: string;
  readonly lease: LeaseReader;
  /** Indexes of bridges, by name, as an ADD saw them last. */
  readonly bridges = new Map<string, number>();
  /** Records of attachments that had no interface at the last sweep. */
  seenDead: ReadonlySet<string> = new Set();
  readonly #dataDirs = new DataDirs();
  /** By dataDir, then by network. */
  readonly #stores = new Map<string, Map<string, AddressStore>>();
  #rtnl: Rtnl | undefined;
  #nfnl: Nfnl | undefined;

  constructor(options: HostOptions) {
    this.runDir = options.runDir;
    this.steps = options.steps ?? allSteps(this);
    this.removeLinks = options.removeLinks ?? ((...removal) => waitingRemover(this.rtnl).remove(...removal));
    this.checkHealth = options.checkHealth;
    this.hostLocalDir = options.hostLocalDir ?? '/var/lib/cni/networks';
    this.lease = new LeaseReader({ runDir: options.runDir, bootId: this.bootId });
  }

  /** The host's socket: of the namespace in which this process lives. */
  get rtnl(): Rtnl {
    this.#rtnl ??= openRtnl();
    return this.#rtnl;
  }

  /** The same for nftables and conntrack. */
  get nfnl(): Nfnl {
    this.#nfnl ??= openNfnl();
    return this.#nfnl;
  }

  /** The addresses of a network; `hostLocalDir` is where another plugin may have kept some. */
  addresses(network: string, hostLocalDir: string): AddressStore {
    const stores = this.#stores.get(hostLocalDir) ?? new Map<string, AddressStore>();
    this.#stores.set(hostLocalDir, stores);
    const known = stores.get(network);
    if (known) return known;
    const store = new AddressStore({
      runDir: this.runDir,
      network,
      hostLocalDir: this.#dataDirs.pathOf(hostLocalDir),
      living: () => livingAddresses(this.rtnl, network),
    });
    stores.set(network, store);
    return store;
  }

  /** What a caller means by a dataDir that it names holds from now on. Returns where it is, if anywhere. */
  hostLocalPath(dataDir: string, opened: OpenedName | undefined): string | undefined {
    if (this.#dataDirs.note(dataDir, opened)) this.#stores.delete(dataDir);
    return this.#dataDirs.pathOf(dataDir);
  }

  /** The index of a bridge, as it was seen last; undefined where there is no such link. */
  bridgeIndex(name: string): number | undefined {
    return this.bridges.get(name) ?? linkByName(this.rtnl, name)?.index;
  }

  close(): void {
    this.#rtnl?.close();
    this.#rtnl = undefined;
    this.#nfnl?.close();
    this.#nfnl = undefined;
    this.#dataDirs.close();
  }
}
