/** How this node stands with its Node: the lease it has, since which Node, and why it has none. */
import { formatCidr } from '../../../inet/cidr.ts';
import type { Log } from '../../../log/log.ts';
import { subnetKey } from '../flannel/key.ts';
import type { LeasePhase, LeaseStatus } from '../holder.ts';
import type { Lease, LeaseAttributes } from '../lease.ts';
import type { SavedLease } from '../protocol/standing.ts';
import { sameAttributes } from '../view/peers.ts';
import type { Current, Decision } from './decide.ts';
import type { Condition } from './node-writer.ts';

export interface NodeStandingOptions {
  readonly nodeName: string;
  /** From before this start. */
  readonly saved: SavedLease | undefined;
  readonly log: Log;
  /** A warning for whoever describes the Node. */
  readonly publish: (event: { readonly reason: string; readonly message: string }) => void;
  /** There is no lease yet, for this reason. */
  readonly onWaiting: (reason: string) => void;
  /** The lease, what it says or its phase is new. */
  readonly onChange: () => void;
}

export class NodeStanding {
  readonly #options: NodeStandingOptions;
  #lease: Lease | undefined;
  #uid: string | undefined;
  #phase: LeasePhase = 'lost';
  #reason: string | undefined;

  constructor(options: NodeStandingOptions) {
    this.#options = options;
  }

  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** Of the Node that gave us the lease. */
  get uid(): string | undefined {
    return this.#uid;
  }

  get held(): boolean {
    return this.#phase === 'held';
  }

  /** What is to be compared with the Node. */
  get current(): Current | undefined {
    const { saved } = this.#options;
    if (this.#lease) return { subnets: this.#lease.subnets, uid: this.#uid };
    return saved && { subnets: saved.lease.subnets, uid: saved.nodeUid };
  }

  /** There is no deadline: the controller manager gives a Node's subnets to nobody else while the Node exists. */
  status(trouble: string | undefined, confirmedMs: number | undefined): LeaseStatus {
    const away = this.held && trouble !== undefined;
    return {
      phase: away ? 'away' : this.#phase,
      deadlineMs: this.#phase === 'lost' ? 0 : Number.POSITIVE_INFINITY,
      confirmedMs,
      reason: away ? trouble : this.#reason,
    };
  }

  become(decision: Decision, attributes: LeaseAttributes): void {
    if (decision.kind === 'held') this.#hold(decision, attributes);
    else if (decision.kind !== 'unknown') this.#fail(decision);
  }

  /** The API server does not answer. Returns whether there is a saved lease to go on with. */
  resume(attributes: LeaseAttributes, reason: string): boolean {
    const { saved, log, onChange } = this.#options;
    if (saved?.nodeUid === undefined) return false;
    this.#lease = { ...saved.lease, ...attributes };
    this.#uid = saved.nodeUid;
    this.#phase = 'away';
    this.#reason = reason;
    log.warn('lease.resumed', { key: saved.lease.key, reason });
    onChange();
    return true;
  }

  /** What the Node's condition NetworkUnavailable has to say; undefined: nothing yet. */
  condition(programmed: boolean): Condition | undefined {
    if (this.held) {
      if (!programmed) return undefined;
      return { status: 'False', reason: 'WeftIsUp', message: 'weft has programmed this node' };
    }
    if (this.#reason === undefined || this.#phase !== 'lost') return undefined;
    return { status: 'True', reason: this.#lease ? 'SubnetLost' : 'NoSubnet', message: this.#reason };
  }

  #hold({ subnets, uid }: Extract<Decision, { kind: 'held' }>, attributes: LeaseAttributes): void {
    const { nodeName, log, onChange } = this.#options;
    const key = subnetKey(subnets);
    const before = this.#lease;
    const news = !this.held || this.#uid !== uid;
    if (!news && before && sameAttributes(before, attributes)) return;
    this.#lease = { key, subnets: before?.key === key ? before.subnets : subnets, ...attributes, nodeName };
    this.#uid = uid;
    this.#phase = 'held';
    this.#reason = undefined;
    if (news) log.info('lease.acquired', { key, subnets: subnets.map(formatCidr), node: nodeName, uid });
    onChange();
  }

  #fail({ kind, reason }: Extract<Decision, { kind: 'waiting' | 'lost' }>): void {
    const { saved, onWaiting, onChange } = this.#options;
    const news = this.#phase !== 'lost' || this.#reason !== reason;
    this.#reason = reason;
    if (kind === 'waiting') {
      if (news) this.#warn('lease.waiting', 'NoSubnet', reason);
      onWaiting(reason);
    } else if (news) {
      this.#lease ??= saved?.lease;
      this.#phase = 'lost';
      this.#warn('lease.lost', 'SubnetLost', reason);
      onChange();
    }
  }

  #warn(event: 'lease.waiting' | 'lease.lost', reason: string, message: string): void {
    const { nodeName, log, publish } = this.#options;
    log.error(event, { node: nodeName, reason: message });
    publish({ reason, message });
  }
}
