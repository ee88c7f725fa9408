/** A machine with an agent on it: it can be paused, cut off, crash, reboot, and be made again. */
import type { LeaseStatus } from '../../agent/lease/holder.ts';
import type { Lease, LeaseAttributes, LeaseNetwork, Peers } from '../../agent/lease/lease.ts';
import { type KeeperOptions, LeaseKeeper } from '../../agent/lease/protocol/keeper.ts';
import type { SavedLease, SaveTime } from '../../agent/lease/protocol/standing.ts';
import type { LeaseTiming } from '../../agent/lease/timing.ts';
import type { Clock } from '../../clock/clock.ts';
import type { Ip } from '../../inet/ip.ts';
import { silentLog } from '../../log/log.ts';
import { type Host, SimStore } from './network.ts';
import type { Server } from './server.ts';
import type { World } from './world.ts';

/** What outlives the agent: stateDir always, runDir until the machine boots anew. */
interface Disk {
  boot: number;
  run: number;
  /** `stateDir/lease.json` */
  saved:
    | (SavedLease & { readonly wallMs: number; readonly wallDeadlineMs: number; readonly boot: number })
    | undefined;
  /** `runDir/lease.json`: what whoever makes pods goes by, the agent running or not. */
  published: (Pick<LeaseStatus, 'phase' | 'deadlineMs'> & { readonly lease: Lease }) | undefined;
}

/** Pause before a change goes to stateDir (lease-files.ts). */
const savePauseMs = 1000;

export interface SimNodeOptions {
  readonly world: World;
  readonly server: Server;
  readonly id: string;
  readonly attributes: LeaseAttributes;
  readonly networks: readonly LeaseNetwork[];
  readonly timing: LeaseTiming;
  /** 0: a perfect network; 1: a bad one. */
  readonly trouble: () => number;
  readonly onChange: (node: SimNode) => void;
  /** The code under test has a fault. */
  readonly onFault: (node: SimNode, error: unknown) => void;
  readonly onPeers: (node: SimNode, before: Peers, after: Peers) => void;
}

export class SimNode {
  readonly id: string;
  attributes: LeaseAttributes;
  partitioned = false;
  keeper: LeaseKeeper | undefined;
  /** Why it has no lease and seeks none. */
  refused: unknown;
  /** The same of the life before, while this one is still seeking. */
  refusedBefore: unknown;
  /** The machine is gone: its agent never starts again. */
  destroyed = false;
  readonly #options: SimNodeOptions;
  readonly #disk: Disk = { boot: 1, run: 1, saved: undefined, published: undefined };
  /** This node's clock against the world's: crystals differ, and so do the moments of boot. */
  readonly #rate: number;
  #bootedAtMs: number;
  #wallOffsetMs: number;
  #life = 0;
  #paused: (() => void)[] | undefined;
  #saving = false;

  readonly #former: { readonly address: Ip; readonly untilMs: number }[] = [];

  constructor(options: SimNodeOptions) {
    this.#options = options;
    this.id = options.id;
    this.attributes = options.attributes;
    const { world } = options;
    this.#rate = 1 + (world.random() - 0.5) * 0.004;
    this.#bootedAtMs = world.now - world.between(0, 100_000);
    this.#wallOffsetMs = world.between(-5000, 5000);
  }

  /** It is told another address on the underlay. */
  changeAddress(address: Ip): void {
    for (const former of this.attributes.publicIps) {
      this.#former.push({ address: former, untilMs: this.#options.world.now });
    }
    this.attributes = { ...this.attributes, publicIps: [address] };
  }

  /** The addresses that it has, and those that it had lately. */
  addressesWithin(ms: number): Ip[] {
    const since = this.#options.world.now - ms;
    const lately = this.#former.filter(({ untilMs }) => untilMs >= since).map(({ address }) => address);
    return [...this.attributes.publicIps, ...lately];
  }

  get alive(): boolean {
    return this.keeper !== undefined && this.refused === undefined;
  }

  now(): number {
    return (this.#options.world.now - this.#bootedAtMs) * this.#rate;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#options.world.now + this.#wallOffsetMs;
  }

  /** The lease by which it would make a pod now. */
  get claimed(): Lease | undefined {
    const { published } = this.#disk;
    return !this.destroyed && published && published.deadlineMs > this.now() ? published.lease : undefined;
  }

  /** What tells it from a copy of itself. */
  get run(): string {
    return `${this.id}/${this.#bootedAtMs}/${this.#disk.run}`;
  }

  start(): void {
    if (this.keeper || this.destroyed) return;
    const life = ++this.#life;
    const { world, server, timing, networks } = this.#options;
    const host: Host = {
      deliver: (run) => this.#deliver(life, run),
      partitioned: () => this.partitioned,
    };
    const clock: Clock = {
      now: () => this.now(),
      wallNow: () => this.wallNow(),
      after: (ms, run) => {
        let wanted = true;
        world.after(ms / this.#rate, () => {
          if (wanted) this.#deliver(life, () => wanted && run());
        });
        return () => {
          wanted = false;
        };
      },
    };
    const { trouble } = this.#options;
    // A crash is no abort: nothing of it gets to the node any more.
    const never = new AbortController().signal;
    const store = new SimStore({ world, server, host, writer: this.id, trouble, never });
    const saved = this.#recall();
    const { published } = this.#disk;
    if (published?.phase === 'left') this.#disk.published = { ...published, phase: 'lost' };
    const options: KeeperOptions = {
      store,
      clock,
      random: world.random,
      log: silentLog,
      timing,
      us: {
        id: this.id,
        name: this.id,
        boot: `${this.id}/${this.#disk.boot}`,
        run: this.run,
        attributes: this.attributes,
        had: saved ? [saved.lease.key] : [],
        flannelHad: [],
      },
      local: { networks, backend: { type: 'vxlan', vni: 1 } },
      saved,
      onSave: (when) => this.#write(life, keeper, when),
      renounced: () => this.#disk.published?.phase === 'left',
      signal: never,
    };
    const keeper: LeaseKeeper = new LeaseKeeper(options);
    this.keeper = keeper;
    this.refusedBefore = this.refused;
    this.refused = undefined;
    keeper.acquired.catch((error: unknown) => {
      if (life !== this.#life) return;
      this.refused = error;
      // A service manager starts it again.
      world.after(10_000, () => {
        if (life !== this.#life) return;
        this.crash();
        this.start();
      });
    });
    keeper.done.catch((error: unknown) => this.#options.onFault(this, error));
    let before = keeper.peers;
    keeper.watchPeers((peers) => {
      if (life === this.#life) this.#options.onPeers(this, before, peers);
      before = peers;
    }, never);
    keeper.watchStatus(() => life === this.#life && this.#options.onChange(this), never);
  }

  /** SIGKILL: nothing of it runs any more; what it sent is on its way. */
  crash(): void {
    this.#life++;
    this.#saving = false;
    this.keeper = undefined;
    this.#paused = undefined;
  }

  reboot(): void {
    this.crash();
    this.#disk.boot++;
    this.#disk.run++;
    this.#disk.published = undefined;
    this.#bootedAtMs = this.#options.world.now;
  }

  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const run of waiting) run();
  }

  stepWallClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  #deliver(life: number, run: () => void): void {
    if (life !== this.#life) return;
    if (this.#paused) this.#paused.push(run);
    else run();
  }

  /** What `weftctl node leave` does to the disk (`renounceSaved`). */
  renounce(): void {
    const disk = this.#disk;
    if (disk.saved) disk.saved = { ...disk.saved, deadlineMs: 0, wallDeadlineMs: 0 };
    if (disk.published) disk.published = { ...disk.published, deadlineMs: 0, phase: 'left' };
  }

  /** As `LeaseFiles` does. */
  #write(life: number, keeper: LeaseKeeper, when: SaveTime): void {
    if (life !== this.#life) return;
    const { phase, deadlineMs } = keeper.status;
    this.#disk.published = { lease: keeper.lease, phase, deadlineMs };
    if (when === 'now') this.#save(keeper);
    else if (!this.#saving) {
      this.#saving = true;
      this.#options.world.after(savePauseMs, () => {
        this.#saving = false;
        this.#deliver(life, () => this.#save(keeper));
      });
    }
    this.#options.onChange(this);
  }

  #save(keeper: LeaseKeeper): void {
    const { lease, cluster, peers, status } = keeper;
    if (status.phase !== 'left' && this.#disk.published?.phase === 'left') return;
    const { deadlineMs } = status;
    const wallMs = this.wallNow();
    this.#disk.saved = {
      lease,
      cluster,
      peers: [...peers.leases.values()],
      deadlineMs,
      wallMs,
      wallDeadlineMs: deadlineMs === 0 ? 0 : wallMs + deadlineMs - this.now(),
      boot: this.#disk.boot,
    };
  }

  /** As `readSaved` does. */
  #recall(): SavedLease | undefined {
    const { saved, published, boot } = this.#disk;
    if (!saved) return undefined;
    const { lease, cluster, peers } = saved;
    const leftMs = this.wallNow() < saved.wallMs ? 0 : saved.wallDeadlineMs - this.wallNow();
    const later = leftMs > 0 ? this.now() + leftMs : 0;
    const deadlineMs = saved.boot === boot ? saved.deadlineMs : later;
    const known = published?.lease.key === lease.key ? published.deadlineMs : deadlineMs;
    return { lease, cluster, peers, deadlineMs: known };
  }
}
