/**
 * What has to be so for the agent to do its work, and whether it is. Each part of the agent reports its own
 * condition; whoever asks (readiness, the operator) sees causes, not the symptoms that follow from them.
 */

/** Each with the words for before anybody has reported it, and the condition without which it cannot be. */
const conditions = {
  store: { initially: 'the store has not been heard yet', cause: undefined },
  lease: { initially: 'this node has no subnet yet', cause: 'store' },
  overlay: { initially: 'the first pass over peers and kernel is not complete', cause: 'lease' },
  /** Something that was asked of the kernel cannot be had. Pods can be made all the same. */
  entries: { initially: undefined, cause: 'overlay' },
  /** Peers that do not answer, or not with packets of full size. */
  peers: { initially: undefined, cause: 'overlay' },
} as const satisfies Record<string, { initially: string | undefined; cause: string | undefined }>;

/** What an operator should know of, but does not keep pods from being made: good until somebody says otherwise. */
const isWarning = (code: ConditionCode): boolean => conditions[code].initially === undefined;

export type ConditionCode = keyof typeof conditions;

/** Why the agent is not ready. */
export interface Reason {
  readonly code: ConditionCode;
  /** One line for an operator. */
  readonly text: string;
  /** When it began, ISO 8601 in UTC. */
  readonly since: string;
}

interface State {
  readonly good: boolean;
  readonly text: string;
  readonly sinceMs: number;
  /** Good only until then. */
  readonly untilMs: number;
}

export class Health {
  readonly #now: () => number;
  readonly #wallNow: () => number;
  readonly #states = new Map<ConditionCode, State>();

  /** `now`: milliseconds of a clock that never steps; `wallNow`: since 1970, for people only. */
  constructor(clock: { now(): number; wallNow(): number }) {
    this.#now = () => clock.now();
    this.#wallNow = () => clock.wallNow();
    const sinceMs = this.#now();
    for (const code of codes) {
      const text = conditions[code].initially;
      if (text === undefined) this.good(code);
      else this.#states.set(code, { good: false, text, sinceMs, untilMs: 0 });
    }
  }

  /** The condition holds: for good, or for `forMs`; if nothing is heard until then, `otherwise` is the reason. */
  good(code: ConditionCode, lasting?: { readonly forMs: number; readonly otherwise: string }): void {
    const now = this.#now();
    const untilMs = lasting ? now + lasting.forMs : Number.POSITIVE_INFINITY;
    this.#states.set(code, { good: true, text: lasting?.otherwise ?? '', sinceMs: now, untilMs });
  }

  /** The condition does not hold, for this reason, in one line that says what to do. */
  bad(code: ConditionCode, text: string): void {
    const before = this.#current(code);
    const sinceMs = before && !before.good ? before.sinceMs : this.#now();
    this.#states.set(code, { good: false, text, sinceMs, untilMs: 0 });
  }

  get ready(): boolean {
    return codes.every((code) => isWarning(code) || this.#current(code)?.good);
  }

  /** Why it is not ready; a condition whose cause is among the reasons is not. */
  get reasons(): Reason[] {
    return this.#bad(codes.filter((code) => !isWarning(code)));
  }

  /** What is wrong although pods can be made. */
  get warnings(): Reason[] {
    return this.#bad(codes.filter(isWarning));
  }

  #bad(among: readonly ConditionCode[]): Reason[] {
    return among.flatMap((code) => {
      const state = this.#current(code);
      if (!state || state.good || this.#isBad(conditions[code].cause)) return [];
      const since = new Date(this.#wallNow() - (this.#now() - state.sinceMs)).toISOString();
      return [{ code, text: state.text, since }];
    });
  }

  #isBad(code: ConditionCode | undefined): boolean {
    return code !== undefined && this.#current(code)?.good === false;
  }

  /** The state as it is now: what was good until a moment that has passed is bad since then. */
  #current(code: ConditionCode): State | undefined {
    const state = this.#states.get(code);
    if (!state?.good || this.#now() < state.untilMs) return state;
    return { ...state, good: false, sinceMs: state.untilMs };
  }
}

const codes = Object.keys(conditions) as ConditionCode[];
