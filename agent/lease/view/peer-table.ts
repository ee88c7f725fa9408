/** The peers as they are told to the rest of the agent: with memory, and with grace for what has just ended. */
import type { Clock } from '../../../clock/clock.ts';
import { overlaps } from '../../../inet/cidr.ts';
import type { Lease, Peers } from '../lease.ts';
import type { PeerView } from './peer-view.ts';
import { noPeers, type PeerRules, peersOf } from './peers.ts';
import { SubnetIndex } from './subnet-index.ts';

export class PeerTable {
  readonly #graceMs: number;
  readonly #clock: Clock;
  #peers: Peers = noPeers;
  /** Key → when it is dropped, for leases that have ended. */
  readonly #ending = new Map<string, number>();

  constructor(options: { graceSeconds: number; clock: Clock; saved: readonly Lease[] }) {
    this.#graceMs = options.graceSeconds * 1000;
    this.#clock = options.clock;
    const leases = new Map(options.saved.map((lease) => [lease.key, lease]));
    this.#peers = { leases, complete: false, problems: [] };
  }

  get peers(): Peers {
    return this.#peers;
  }

  /** When the next ended lease is to be dropped: call `update` then. */
  get nextEndMs(): number | undefined {
    return this.#ending.size === 0 ? undefined : Math.min(...this.#ending.values());
  }

  /**
   * Recomputes from the view; answers whether anything differs. Before a complete list has been seen, what is
   * remembered stays beside what is seen.
   */
  update(view: PeerView, rules: Omit<PeerRules, 'before'>): boolean {
    const before = this.#peers.leases;
    const now = peersOf(view, { ...rules, before });
    const missing = [...before.values()].filter(({ key }) => !now.leases.has(key));
    const leases = this.#withEnding(now.leases, missing, { view, rules });
    const changed =
      now.complete !== this.#peers.complete ||
      leases.size !== before.size ||
      differs(leases, before) ||
      JSON.stringify(now.problems) !== JSON.stringify(this.#peers.problems);
    if (changed) this.#peers = { leases, complete: now.complete, problems: now.problems };
    return changed;
  }

  /** The leases, and those of the missing that stay for the time being. */
  #withEnding(
    now: ReadonlyMap<string, Lease>,
    missing: readonly Lease[],
    at: { view: PeerView; rules: Omit<PeerRules, 'before'> },
  ): ReadonlyMap<string, Lease> {
    for (const key of this.#ending.keys()) if (now.has(key)) this.#ending.delete(key);
    if (missing.length === 0) return now;
    const occupied = new SubnetIndex();
    for (const { key, subnets } of now.values()) occupied.add(key, subnets);
    const leases = new Map(now);
    for (const lease of missing) {
      if (this.#stays(lease, { ...at, occupied })) leases.set(lease.key, lease);
      else this.#ending.delete(lease.key);
    }
    return leases;
  }

  /** Whether a lease that is not in the view any more, or harms now, stays for the time being. */
  #stays(
    lease: Lease,
    at: { view: PeerView; occupied: SubnetIndex; rules: Omit<PeerRules, 'before'> },
  ): boolean {
    const { view, rules } = at;
    const { key, subnets } = lease;
    if (key === rules.own || view.subnet(key)) return false;
    if (rules.ownSubnets.some((own) => subnets.some((subnet) => overlaps(own, subnet)))) return false;
    // Without a complete list, nothing that is missing is known to be gone (I3).
    if (!view.complete) return true;
    if (view.released(key) || at.occupied.overlapping(subnets) !== undefined) return false;
    const now = this.#clock.now();
    const end = this.#ending.get(key) ?? now + this.#graceMs;
    this.#ending.set(key, end);
    return end > now;
  }
}

function differs(leases: ReadonlyMap<string, Lease>, before: ReadonlyMap<string, Lease>): boolean {
  for (const [key, lease] of leases) if (before.get(key) !== lease) return true;
  return false;
}
