/** What can go wrong between weft and an API server. Every message is one line, and ends with the remedy. */

/**
 * `unreachable`: no answer, or none that is whole (connection refused, 5xx, half a JSON object); the request may have
 * been carried out. Worth repeating, as is `throttled` (429).
 * `unauthorized` (401): the credentials are not valid (any more). `forbidden` (403): RBAC lacks a verb.
 * `untrusted`: the server's certificate is not of the authority that we were given.
 * `credentials`: a token file, a client certificate or an exec plugin does not give credentials.
 * `gone` (410): the resource version is no longer kept; list again.
 * `not-found` (404), `conflict` (409), `invalid`: any other answer that will not change by itself.
 */
export type ApiErrorKind =
  | 'unreachable'
  | 'throttled'
  | 'unauthorized'
  | 'forbidden'
  | 'untrusted'
  | 'credentials'
  | 'gone'
  | 'not-found'
  | 'conflict'
  | 'invalid';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly kind: ApiErrorKind;
  /** How long the server asks not to be called again, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: ApiErrorKind, message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(message, options);
    this.kind = kind;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

export const isApiError = (error: unknown, kind: ApiErrorKind): error is ApiError =>
  error instanceof ApiError && error.kind === kind;

/** A kubeconfig or a service account that cannot be used; the message names the file, the field and the remedy. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
}

export const textOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(textOf).join('; ');
  return error instanceof Error ? error.message : String(error);
};
