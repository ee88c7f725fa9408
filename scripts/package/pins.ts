/** scripts/pins: versions of what is brought from npm's registry, and the SHA-512 of each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pin {
  readonly name: string;
  readonly version: string;
  readonly sha512: string;
}

/** The Node.js for an architecture as Node.js names it. Throws where weft has none pinned. */
export function nodePin(root: string, arch: string): Pin {
  const text = readFileSync(join(root, 'scripts/pins'), 'utf8');
  const name = `node-linux-${arch}`;
  const version = /^node_version=(\S+)$/m.exec(text)?.[1];
  const sha512 = new RegExp(`^ *\\[${name}\\]=([0-9a-f]{128})$`, 'm').exec(text)?.[1];
  if (!version || !sha512) throw new Error(`scripts/pins has no ${name}: weft is packaged for x64 and arm64`);
  return { name, version, sha512 };
}
