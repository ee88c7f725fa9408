/** Which shared libraries a program needs, and which those need: what its dynamic section names (elf(5), DT_NEEDED). */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Sonames → paths below `folder`, of all that the programs need there, theirs included; the dynamic loader is one of
 * them. Throws where a library is missing.
 */
export function librariesOf(request: {
  programs: readonly string[];
  /** A host's root. */
  folder: string;
  /** `x86_64-linux-gnu` */
  triplet: string;
}): Map<string, string> {
  const { programs, folder, triplet } = request;
  const found = new Map<string, string>();
  const places = [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib64', 'lib'];
  const pending = [...programs];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const soname of needed(file)) {
      if (found.has(soname)) continue;
      const place = places.find((candidate) => existsSync(join(folder, candidate, soname)));
      if (!place) throw new Error(`${file} needs ${soname}, which no package of the image has`);
      found.set(soname, join(place, soname));
      pending.push(join(folder, place, soname));
    }
  }
  return found;
}

function needed(file: string): string[] {
  const { status, stdout, stderr, error } = spawnSync(
    'readelf',
    ['--dynamic', '--program-headers', '--wide', file],
    {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 16 * 1024 * 1024,
    },
  );
  if (error || status !== 0) throw new Error(`readelf ${file}: ${error?.message ?? stderr}`);
  const libraries = [...stdout.matchAll(/\(NEEDED\)\s+Shared library: \[(.+)\]/g)].map(
    (match) => match[1] ?? '',
  );
  const loader = /\[Requesting program interpreter: .*\/(.+)\]/.exec(stdout)?.[1];
  return loader ? [...libraries, loader] : libraries;
}
