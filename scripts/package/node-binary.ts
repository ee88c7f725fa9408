/** The Node.js that the package carries. */
import { join } from 'node:path';
import { ensureFetched } from './fetched.ts';
import type { Pin } from './pins.ts';

export interface NodeBinary {
  readonly program: string;
  readonly license: string;
}

/** Paths of the program and its licence. Throws where it cannot be fetched or is not what was pinned. */
export function ensureNodeBinary(pin: Pin): NodeBinary {
  const folder = ensureFetched({ pin, named: 'scripts/pins', files: ['bin/node', 'LICENSE'] });
  return { program: join(folder, 'bin/node'), license: join(folder, 'LICENSE') };
}
