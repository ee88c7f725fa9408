/** The password of the login at etcd: from a file, read at every login so that it may be changed, or the environment. */
import { StoreError } from '../../errors.ts';
import { readSecret } from './secret.ts';

export const passwordVariable = 'WEFT_ETCD_PASSWORD';

let given: string | undefined;

/** Throws `StoreError` `refused` where there is none. */
export function passwordOf(login: {
  readonly username: string;
  readonly passwordFile: string | undefined;
}): string {
  if (login.passwordFile !== undefined) return readSecret(login.passwordFile);
  const fromEnvironment = takeFromEnvironment();
  if (fromEnvironment !== undefined) return fromEnvironment;
  throw new StoreError(
    'refused',
    `etcd: there is no password for ${login.username}: name a file with it (store.passwordFile), or set ${passwordVariable}`,
  );
}

/** Out of it, so that no child of ours inherits it. */
function takeFromEnvironment(): string | undefined {
  given = process.env[passwordVariable] || given;
  delete process.env[passwordVariable];
  return given;
}
