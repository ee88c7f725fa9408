/** What can go wrong with leases; every message is one line that names the key or endpoint and the remedy. */

export type LeaseErrorCode =
  /** The cluster's network has no subnet left. */
  | 'network-full'
  /** Another agent that is alive has our node id. */
  | 'node-id-taken'
  /** Another node that is alive, or may be, has our public IP. */
  | 'public-ip-taken'
  /** The cluster's configuration in the store is no such thing, or contradicts ours. */
  | 'cluster-config'
  /** A node named to a command is not there, or must not be touched. */
  | 'no-such-node'
  | 'node-alive'
  /** The lease is not held, so what was asked cannot be done. */
  | 'not-held';

export class LeaseError extends Error {
  override readonly name = 'LeaseError';
  readonly code: LeaseErrorCode;

  constructor(code: LeaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * `away`: nobody answered in time; the request may have been carried out. Worth repeating.
 * `refused`: answered, and will be refused again: credentials, permissions, certificates, malformed.
 * `compacted`: the revision asked for is history; list again.
 */
export type StoreErrorKind = 'away' | 'refused' | 'compacted';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export const isStoreError = (error: unknown, kind: StoreErrorKind): error is StoreError =>
  error instanceof StoreError && error.kind === kind;

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
