/** What `weftctl doctor` finds: one line per thing that was looked at. */

/** `unknown`: it could not be looked at, and why is in `found`. */
export type Severity = 'ok' | 'warning' | 'failed' | 'unknown';

export interface Finding {
  readonly severity: Severity;
  /** What this one is about, where a check looks at several things: `eth0`, `node-2`. */
  readonly subject?: string;
  readonly found: string;
  /** Absent where all is well. */
  readonly wanted?: string;
  /** The command, or the change, that mends it. */
  readonly remedy?: string;
  readonly fix?: Fix;
}

/** What `doctor --fix` does by itself: only what can harm no pod that runs. */
export interface Fix {
  /** `remove link vethabc, which belongs to no pod` */
  readonly text: string;
  /** Throws what keeps it from being done. */
  apply(): Promise<void> | void;
}

export interface Check {
  /** For scripts: `ip-forwarding`. */
  readonly name: string;
  /** For people: what is looked at. */
  readonly title: string;
  /** A throw is a finding `unknown`. */
  look(host: import('./host.ts').DoctorHost): Findings | Promise<Findings>;
}

export type Findings = Finding | readonly Finding[];

export const ok = (found: string, subject?: string): Finding => ({
  severity: 'ok',
  found,
  ...(subject === undefined ? {} : { subject }),
});

export const unknown = (found: string): Finding => ({ severity: 'unknown', found });

/** The findings, or that all is well where there are none. */
export const orOk = (findings: readonly Finding[], found: string): readonly Finding[] =>
  findings.length ? findings : [ok(found)];
