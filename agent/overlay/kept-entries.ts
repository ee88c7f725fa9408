/**
 * Reconciles the entries of one family (routes, neighbours, forwarding entries): desired, dataplane, pending, apply.
 * It remembers only what the kernel has and what failed.
 */
import type { Trigger } from '../reconcile/trigger.ts';
import { inSlices } from '../slices.ts';
import { applySteps, isLinkGone, type Sockets } from './apply.ts';
import { describePort, describeProtocol } from './culprit.ts';
import { Dataplane } from './dataplane.ts';
import type { Desired } from './desired.ts';
import { type Entry, type LinkNames, sameEntry } from './entry.ts';
import { EntryRetries } from './entry-retries.ts';
import type { Known } from './kernel-entry.ts';
import type { NotifiedEntry } from './notified-entry.ts';
import { Pending } from './pending.ts';
import { describeStep, type Step } from './plan.ts';
import type { DataplaneScope } from './read-dataplane.ts';

export interface KeptEntriesPass {
  /** How much was changed. */
  readonly changes: number;
  /** What was changed, in words; at most `MAX_DESCRIBED` entries. */
  readonly done: readonly string[];
  /** Whether the kernel's tables were read. */
  readonly read: boolean;
  /** A link was removed while entries were set on it: the observed state is no longer valid. */
  readonly linkGone: boolean;
  /** The entries that could not be set, in words. */
  readonly problems: readonly string[];
  /** Milliseconds until the earliest that failed may be tried again; undefined where none waits. */
  readonly retryInMs: number | undefined;
}

export interface EntriesAsked {
  readonly scope: DataplaneScope;
  /** What is not desired may be removed. */
  readonly complete: boolean;
  readonly names: LinkNames;
}

/** Changes are described one by one up to this number, then counted. */
const MAX_DESCRIBED = 20;

export class KeptEntries {
  readonly #sockets: Sockets;
  readonly #dataplane: Dataplane;
  readonly #pending: Pending;
  readonly #retries = new EntryRetries();
  /** The desired entries of the last pass. */
  #desired: ReadonlyMap<string, Entry> = new Map();

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
    this.#dataplane = new Dataplane(sockets.bulk ?? sockets.rtnl, sockets.bulk !== undefined);
    this.#pending = new Pending(this.#dataplane);
  }

  /** The cached dataplane may be wrong: the next pass reads the kernel's tables. */
  invalidate(): void {
    this.#dataplane.invalidate();
  }

  /** A notification, caused by `portId`. Returns why it makes a pass necessary; undefined where it does not. */
  observe(notified: NotifiedEntry, portId: number): Trigger | undefined {
    const { id, entry, what } = notified;
    const desired = this.#desired.get(id);
    // Most notifications report weft's own changes, which the cache has already.
    const known = what === 'there' && entry === desired && this.#dataplane.entries.get(id) === entry;
    this.#dataplane.observe(notified);
    if (known) return undefined;
    this.#pending.add(id);
    if (what === 'foreign gone') {
      if (!desired || this.#dataplane.entries.has(id)) return undefined;
      // A foreign entry that blocked the desired one may be gone.
      this.#retries.settled(id);
      return { reason: `foreign ${entry.kind} gone` };
    }
    if (!desired) {
      if (what !== 'there') return undefined;
      if (entry.kind === 'fdb') this.#pending.doubtForwarding(entry.mac, this.#desired);
      return { reason: `stray ${entry.kind}` };
    }
    if (what === 'there' && sameEntry(entry, desired)) return undefined;
    const who =
      what === 'foreign' && notified.protocol !== undefined
        ? describeProtocol(notified.protocol)
        : describePort(portId);
    if (who) this.#retries.seen(id, who);
    return { reason: what === 'gone' ? `${entry.kind} gone` : `${entry.kind} changed` };
  }

  /** The desired entry of that id: the same object, so that comparing is cheap. */
  readonly known: Known = (id) => this.#desired.get(id);

  /** Makes the kernel's entries the desired ones. */
  async reconcile(desired: Desired, { scope, complete, names }: EntriesAsked): Promise<KeptEntriesPass> {
    const before = this.#desired;
    this.#desired = desired.entries;
    const done: string[] = [];
    let changes = 0;
    let read: boolean;
    let linkGone: boolean;
    for (;;) {
      read = await this.#dataplane.ensureRead(scope, this.known);
      if (!this.#pending.isOf(desired)) await inSlices(this.#pending.compare(desired));
      const steps = this.#dueSteps({ complete, before: read ? undefined : before });
      const refused = await applySteps(this.#sockets, steps, (step) => {
        this.#dataplane.applied(step);
        this.#pending.settled(step.id);
        this.#retries.settled(step.id);
        // An entry that another program keeps removing is reported once, among the problems.
        if (this.#retries.isContended(step.id)) return;
        changes++;
        if (done.length < MAX_DESCRIBED) done.push(describeStep(step, names));
      });
      linkGone = refused.some(isLinkGone);
      if (linkGone) {
        this.#dataplane.invalidate();
        break;
      }
      const unexpected = refused.some(({ step }) => !this.#retries.isFailed(step.id));
      if (read || !unexpected) {
        for (const { step, refusal } of refused)
          this.#retries.failed(step.id, { item: step.entry, error: refusal });
        break;
      }
      // The cached dataplane was wrong.
      this.#dataplane.invalidate();
      for (const { step } of refused) this.#retries.settled(step.id);
    }
    this.#retries.keepOnly(desired.entries);
    const problems = this.#retries.problems(names);
    return { changes, done, read, linkGone, problems, retryInMs: this.#retries.nextInMs() };
  }

  /** `before`: what was desired before, if the dataplane was known since then. */
  *#dueSteps({
    complete,
    before,
  }: {
    complete: boolean;
    before: ReadonlyMap<string, Entry> | undefined;
  }): Generator<Step> {
    for (const step of this.#pending.steps(this.#desired)) {
      if (step.verb !== 'remove') this.#retries.missing(step, before);
      else if (!complete) continue;
      if (this.#retries.isDue(step.id)) yield step;
    }
  }
}
