/** The errno's name of what a system call threw, "ENOENT"; undefined for other errors. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Whether a system call failed with one of these. */
export const isErrno = (error: unknown, ...codes: string[]): error is NodeJS.ErrnoException =>
  codes.includes(errnoOf(error) ?? '');
