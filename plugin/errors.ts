/**
 * What the plugin wing can fail of. Every refusal is a `CniError` with a reason of this vocabulary; the
 * number a runtime sees is decided here and nowhere else.
 */

/** CNI specification, section 5 ("Error"): 0-99 are the specification's, 100 and above our own. */
export const cniCodes = {
  'incompatible-version': 1,
  /** A field of the configuration that we do not support; the message holds key and value. */
  'unsupported-field': 2,
  /** The container is gone; the runtime need not call DEL. */
  'unknown-container': 3,
  /** The message names the variables. */
  'invalid-environment': 4,
  'input-output': 5,
  undecodable: 6,
  'invalid-config': 7,
  /** Only in the reference implementation's list (`pkg/types/types.go`), not in the specification's table. */
  'invalid-netns': 8,
  /** Nothing is wrong with the call: the agent is not ready, no lease is held, the deadline has passed. */
  'try-again-later': 11,
  /** STATUS: ADD cannot be served. */
  'not-available': 50,
  /** STATUS: ADD cannot be served, and pods that exist may have lost connectivity. */
  'limited-connectivity': 51,
  'interface-exists': 100,
  'addresses-exhausted': 101,
  'address-not-available': 102,
  'host-port-taken': 103,
  'bridge-conflict': 104,
  /** CHECK: what ADD made is not there any more, or not as it was made. */
  'check-failed': 105,
  internal: 999,
} as const;

export type CniReason = keyof typeof cniCodes;

/** A refusal that reaches the runtime as CNI error JSON: `code`, `msg` (this error's message), `details`. */
export class CniError extends Error {
  readonly reason: CniReason;
  /** What the runtime sees. */
  readonly code: number;
  /** A longer text for people; undefined where the message says all. */
  readonly details: string | undefined;

  constructor(reason: CniReason, message: string, details?: string) {
    super(message);
    this.name = 'CniError';
    this.reason = reason;
    this.code = cniCodes[reason];
    this.details = details;
  }

  /** What `thrown` is to a runtime: itself if it is a CniError, else code 999 with its text (never its stack). */
  static of(thrown: unknown): CniError {
    if (thrown instanceof CniError) return thrown;
    return new CniError('internal', textOf(thrown));
  }
}

function textOf(thrown: unknown): string {
  if (thrown instanceof Error && thrown.message !== '') return thrown.message;
  if (typeof thrown === 'string' && thrown !== '') return thrown;
  return thrown instanceof Error ? thrown.name : 'unknown error';
}
