/**
 * Whether the agent can do its work, and why not. Each part reports its own condition; a condition whose cause does
 * not hold either is not shown, so that readiness and the operator see causes, not symptoms.
 */
import { type Condition, type ConditionCode, codes, conditionOf } from './conditions.ts';

/** A condition that does not hold. */
export interface Reason {
  readonly code: ConditionCode;
  readonly severity: Condition['severity'];
  /** One line for an operator. */
  readonly text: string;
  /** What to do; undefined where the text says it. */
  readonly remedy?: string;
  /** When it began, ISO 8601 in UTC. */
  readonly since: string;
}

interface State {
  readonly good: boolean;
  readonly text: string;
  readonly remedy: string | undefined;
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
    for (const code of codes) {
      const { initially } = conditionOf(code);
      if (initially === undefined) this.good(code);
      else this.bad(code, initially);
    }
  }

  /** The condition holds: for good, or for `forMs`; without another report until then, `otherwise` is the reason. */
  good(code: ConditionCode, lasting?: { readonly forMs: number; readonly otherwise: string }): void {
    const now = this.#now();
    const untilMs = lasting ? now + lasting.forMs : Number.POSITIVE_INFINITY;
    this.#states.set(code, {
      good: true,
      text: lasting?.otherwise ?? '',
      remedy: undefined,
      sinceMs: now,
      untilMs,
    });
  }

  /** The condition does not hold; `remedy` in place of the condition's own. */
  bad(code: ConditionCode, text: string, remedy?: string): void {
    const before = this.#current(code);
    const sinceMs = before && !before.good ? before.sinceMs : this.#now();
    this.#states.set(code, { good: false, text, remedy, sinceMs, untilMs: 0 });
  }

  get ready(): boolean {
    return codes.every((code) => conditionOf(code).severity === 'warning' || this.#current(code)?.good);
  }

  /** Why it is not ready. */
  get reasons(): Reason[] {
    return this.#shown('error');
  }

  /** What is wrong although pods can be made. */
  get warnings(): Reason[] {
    return this.#shown('warning');
  }

  #shown(severity: Condition['severity']): Reason[] {
    return codes.flatMap((code) => {
      const condition = conditionOf(code);
      const state = this.#current(code);
      if (condition.severity !== severity || !state || state.good || this.#isBad(condition.cause)) return [];
      const since = new Date(this.#wallNow() - (this.#now() - state.sinceMs)).toISOString();
      const remedy = state.remedy ?? condition.remedy;
      return [{ code, severity, text: state.text, ...(remedy === undefined ? {} : { remedy }), since }];
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
