/** What an answer other than 2xx means, in words for an operator. */
import { ApiError, type ApiErrorKind, textOf } from './errors.ts';
import { type JsonObject, objectIn, textIn } from './json.ts';
import { nameOf, type Place } from './resource.ts';

export type Verb = 'get' | 'list' | 'watch' | 'patch' | 'create' | 'delete';

export interface Attempt {
  readonly verb: Verb;
  readonly place: Place;
  /** `https://10.96.0.1` */
  readonly server: string;
  /** Where the access comes from. */
  readonly source: string;
}

const kinds: Readonly<Record<number, ApiErrorKind>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  410: 'gone',
  429: 'throttled',
};

/** `status` is the body, a Status object where the API server itself answers; a proxy may answer anything. */
export function errorOf(
  attempt: Attempt,
  answer: { readonly code: number; readonly status: JsonObject | undefined; readonly retryAfter?: string },
): ApiError {
  const { code, status } = answer;
  const said = (textIn(status, 'message') ?? '').replace(/\s+/g, ' ').slice(0, 400);
  const seconds = Number(answer.retryAfter ?? objectIn(status, 'details')?.retryAfterSeconds);
  const options = Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1000 } : {};
  const kind = isTooNew(status) ? 'gone' : (kinds[code] ?? (code >= 500 ? 'unreachable' : 'invalid'));
  return new ApiError(kind, `${whatFailed(attempt)}: ${meaning(attempt, { code, kind, said })}`, options);
}

/** A server that was restored from a backup, or lags behind, does not know the version that we ask to go on from. */
const isTooNew = (status: JsonObject | undefined): boolean =>
  /too large resource version/i.test(textIn(status, 'message') ?? '');

function meaning(
  { verb, place, source }: Attempt,
  { code, kind, said }: { code: number; kind: ApiErrorKind; said: string },
): string {
  const words = said || 'no reason given';
  switch (kind) {
    case 'forbidden':
      return (
        `RBAC does not allow the verb "${verb}" on "${nameOf(place)}" (${words}); ` +
        'add that verb to the ClusterRole or Role of this account'
      );
    case 'unauthorized':
      return `401: the credentials of ${source} are not accepted: expired, revoked or of another cluster; renew them`;
    case 'throttled':
      return `429: the API server asks for fewer requests (${words}); retrying later`;
    case 'unreachable':
      return `the API server answered ${code} (${words}); retrying`;
    default:
      return `${code} (${words})`;
  }
}

/** `failed to list nodes at https://10.96.0.1` */
export const whatFailed = ({ verb, place, server }: Attempt): string =>
  `failed to ${verb} ${nameOf(place)}${place.name === undefined ? '' : ` ${place.name}`} at ${server}`;

/** OpenSSL's verdicts on a certificate, as Node names them. */
const distrust =
  /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH)/;

/** A connection that failed, or broke off. */
export function errorOfConnection(attempt: Attempt, error: unknown): ApiError {
  if (error instanceof ApiError) {
    return new ApiError(error.kind, `${whatFailed(attempt)}: ${error.message}`, { cause: error });
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (distrust.test(code)) {
    const remedy = `set the certificate authority in ${attempt.source} to the cluster's`;
    const example = 'kubectl get configmap kube-root-ca.crt';
    return new ApiError(
      'untrusted',
      `${whatFailed(attempt)}: its certificate is not trusted: ${textOf(error)}; ${remedy} (${example})`,
      { cause: error },
    );
  }
  if (code.startsWith('ERR_OSSL') || /^ERR_SSL_.*_CERTIFICATE/.test(code)) {
    const what = `the client certificate or authority of ${attempt.source} cannot be used`;
    return new ApiError('credentials', `${whatFailed(attempt)}: ${what}: ${textOf(error)}`, { cause: error });
  }
  return new ApiError('unreachable', `${whatFailed(attempt)}: ${textOf(error)}; retrying`, { cause: error });
}
