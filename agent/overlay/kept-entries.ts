/**
 * The entries of one family kept as desired: state → plan → apply → verify over routes, neighbours and forwarding
 * entries. It has no memory but of what the kernel is known to have, and of what failed.
 */
import type { Trigger } from '../reconcile/trigger.ts';
import { inSlices } from '../slices.ts';
import type { ActualScope } from './actual.ts';
import { applySteps, isLinkGone, type Sockets } from './apply.ts';
import { describePort, describeProtocol } from './culprit.ts';
import type { Desired } from './desired.ts';
import { Differences } from './differences.ts';
import { type Entry, type LinkNames, sameEntry } from './entry.ts';
import { EntryRetries } from './entry-retries.ts';
import type { Known } from './found.ts';
import { Mirror } from './mirror.ts';
import { describeStep, type Step } from './plan.ts';
import type { Sighting } from './sighting.ts';

export interface KeptEntriesPass {
  /** How much was changed. */
  readonly changes: number;
  /** What was changed, in words; the first so many. */
  readonly done: readonly string[];
  /** Whether the kernel's tables were read. */
  readonly read: boolean;
  /** A link went while entries were set on it: nothing that was found out holds. */
  readonly linkGone: boolean;
  /** What could not be had, in words. */
  readonly problems: readonly string[];
  /** Milliseconds until the earliest that failed may be tried again; undefined where none waits. */
  readonly retryInMs: number | undefined;
}

export interface EntriesAsked {
  readonly scope: ActualScope;
  /** What is not desired may be removed. */
  readonly complete: boolean;
  readonly names: LinkNames;
}

/** What was changed is told entry by entry up to here, then as a number. */
const TOLD = 20;

export class KeptEntries {
  readonly #sockets: Sockets;
  readonly #mirror: Mirror;
  readonly #differences: Differences;
  readonly #retries = new EntryRetries();
  /** What was last asked for. */
  #desired: ReadonlyMap<string, Entry> = new Map();

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
    this.#mirror = new Mirror(sockets.bulk ?? sockets.rtnl, sockets.bulk !== undefined);
    this.#differences = new Differences(this.#mirror);
  }

  /** What is known of the kernel's tables may be wrong: the next pass reads them. */
  invalidate(): void {
    this.#mirror.invalidate();
  }

  /** A notification; `portId` is of who caused it. Answers why it makes a pass necessary; undefined where it does not. */
  observe(sighting: Sighting, portId: number): Trigger | undefined {
    const { id, entry, what } = sighting;
    const wanted = this.#desired.get(id);
    // Nearly all notifications are of our own changes: what stands as it is known to.
    const known = what === 'there' && entry === wanted && this.#mirror.entries.get(id) === entry;
    this.#mirror.observe(sighting);
    if (known) return undefined;
    this.#differences.add(id);
    if (what === 'foreign gone') {
      if (!wanted || this.#mirror.entries.has(id)) return undefined;
      // What was in the way may have gone.
      this.#retries.settled(id);
      return { reason: `foreign ${entry.kind} gone` };
    }
    if (!wanted) {
      if (what !== 'there') return undefined;
      if (entry.kind === 'fdb') this.#differences.doubtForwarding(entry.mac, this.#desired);
      return { reason: `stray ${entry.kind}` };
    }
    if (what === 'there' && sameEntry(entry, wanted)) return undefined;
    const who =
      what === 'foreign' && sighting.protocol !== undefined
        ? describeProtocol(sighting.protocol)
        : describePort(portId);
    if (who) this.#retries.seen(id, who);
    return { reason: what === 'gone' ? `${entry.kind} gone` : `${entry.kind} changed` };
  }

  /** The desired entry of that id, as the object that stands for it. */
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
      read = await this.#mirror.ensureRead(scope, this.known);
      if (!this.#differences.isOf(desired)) await inSlices(this.#differences.compare(desired));
      const steps = this.#dueSteps({ complete, before: read ? undefined : before });
      const refused = await applySteps(this.#sockets, steps, (step) => {
        this.#mirror.applied(step);
        this.#differences.settled(step.id);
        this.#retries.settled(step.id);
        // Of what is fought over one line tells, among the problems.
        if (this.#retries.isContended(step.id)) return;
        changes++;
        if (done.length < TOLD) done.push(describeStep(step, names));
      });
      linkGone = refused.some(isLinkGone);
      if (linkGone) {
        this.#mirror.invalidate();
        break;
      }
      const unexpected = refused.some(({ step }) => !this.#retries.isFailed(step.id));
      if (read || !unexpected) {
        for (const { step, refusal } of refused)
          this.#retries.failed(step.id, { item: step.entry, error: refusal });
        break;
      }
      // What was known of the kernel was wrong.
      this.#mirror.invalidate();
      for (const { step } of refused) this.#retries.settled(step.id);
    }
    this.#retries.keepOnly(desired.entries);
    const problems = this.#retries.problems(names);
    return { changes, done, read, linkGone, problems, retryInMs: this.#retries.nextInMs() };
  }

  /** `before`: what was desired before, where the kernel's state was known all along. */
  *#dueSteps({
    complete,
    before,
  }: {
    complete: boolean;
    before: ReadonlyMap<string, Entry> | undefined;
  }): Generator<Step> {
    for (const step of this.#differences.steps(this.#desired)) {
      if (step.verb !== 'remove') this.#retries.missing(step, before);
      else if (!complete) continue;
      if (this.#retries.isDue(step.id)) yield step;
    }
  }
}
