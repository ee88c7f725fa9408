/** The one way in which the kernel's refusals reach the rest of weft. */
import { getSystemErrorName } from 'node:util';

/**
 * A system call or netlink request that the kernel refused.
 *
 * `message` reads: `add route 10.244.2.0/24 dev 7: ENETUNREACH (Nexthop has invalid gateway)`.
 */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** The errno's name, such as `EEXIST`: what callers decide by. */
  readonly code: string;
  /** The errno, positive. */
  readonly errno: number;
  /** What was attempted, in words for people. */
  readonly attempted: string;
  /** The kernel's own explanation (extended ACK), where it gave one. */
  readonly detail: string | undefined;

  constructor(failure: { errno: number; attempted: string; detail?: string | undefined }) {
    const code = errnoName(failure.errno);
    super(`${failure.attempted}: ${code}${failure.detail ? ` (${failure.detail})` : ''}`);
    this.code = code;
    this.errno = failure.errno;
    this.attempted = failure.attempted;
    this.detail = failure.detail;
  }
}

/**
 * The same for a request that the kernel answered with no: often what was expected (EEXIST, ENOENT), and a stack
 * trace, which costs more than the request did, would not say more than `attempted` does.
 */
export function refusalOf(failure: ConstructorParameters<typeof KernelError>[0]): KernelError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new KernelError(failure);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** True for a KernelError whose errno is one of these names. */
export const failedWith = (error: unknown, ...codes: string[]): error is KernelError =>
  error instanceof KernelError && codes.includes(error.code);

function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}
