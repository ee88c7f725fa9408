/** What etcd and gRPC say when something goes wrong, in weft's words: whether to wait or to mend, and what. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { printable } from '../../../../problem/printable.ts';
import { StoreError } from '../../errors.ts';

export interface Endpoint {
  /** `https://10.0.0.1:2379` */
  readonly name: string;
  /** What its last TLS handshake failed with (tls.ts). */
  readonly tlsFault?: () => string | undefined;
}

interface Rule {
  readonly code?: number;
  readonly text?: RegExp;
  readonly remedy: string;
}

/** What repeating does not mend. The first that fits is told. */
const refusals: readonly Rule[] = [
  {
    text: /authentication failed|invalid user ?name or password|user name not found/i,
    remedy: 'user or password is wrong: check store.username and the password file',
  },
  {
    text: /authentication is not enabled/i,
    remedy: 'it has no authentication enabled: remove store.username, or enable it there',
  },
  { text: /user name is empty/i, remedy: 'it wants a user: set store.username and store.passwordFile' },
  {
    code: status.PERMISSION_DENIED,
    remedy: "our user's role has no rights here: grant it readwrite on the prefix",
  },
  { code: status.UNIMPLEMENTED, remedy: 'it does not speak the v3 API: etcd 3.4 or newer is needed' },
];

/** From what a call failed with. The message names the endpoint and never a secret. */
export function storeError(error: unknown, endpoint: Endpoint, prefix: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, details } = isServiceError(error) ? error : { code: undefined, details: String(error) };
  const where = `etcd ${endpoint.name}`;
  const fault = endpoint.tlsFault?.();
  if (fault !== undefined && isConnectionFailure(code)) {
    return new StoreError('refused', `${where}: ${fault} (${printable(details)})`, { cause: error });
  }
  for (const rule of refusals) {
    if (rule.code !== undefined && rule.code !== code) continue;
    if (rule.text && !rule.text.test(details)) continue;
    return new StoreError('refused', `${where}: ${rule.remedy} (prefix ${prefix}; ${printable(details)})`, {
      cause: error,
    });
  }
  return new StoreError('away', `${where} does not answer: ${printable(details)}`, { cause: error });
}

const isConnectionFailure = (code: number | undefined): boolean =>
  code === undefined || code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;

export const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;

/** The token is not known any more: servers forget them, and after a restart all of them. */
export const isStaleToken = (error: unknown): boolean =>
  isServiceError(error) &&
  (error.code === status.UNAUTHENTICATED || /invalid auth token|auth.*revision.*old/i.test(error.details));
