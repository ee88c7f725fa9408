/** koffi's native file for another machine than this one: npm installs what this one needs, and nothing else. */
import { join } from 'node:path';
import { ensureFetched } from './fetched.ts';

/** Its path in the user's cache; what package-lock.json names, whose text `lock` is. */
export function ensureKoffi({ lock, arch }: { lock: string; arch: string }): string {
  const name = `@koromix/koffi-linux-${arch}`;
  const { packages }: { packages: Record<string, { version: string; integrity: string }> } = JSON.parse(lock);
  const found = packages[`node_modules/${name}`];
  if (!found) throw new Error(`package-lock.json has no ${name}`);
  const sha512 = Buffer.from(found.integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
  const file = `linux_${arch}/koffi.node`;
  const pin = { name, version: found.version, sha512 };
  return join(ensureFetched({ pin, named: 'package-lock.json', files: [file] }), file);
}
