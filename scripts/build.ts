/**
 * Makes `dist/`, what is installed and run: `npm run build` = tsc, then this. Every file is put in place by
 * rename, because a runtime may be executing the one it replaces ("text file busy").
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './build/bundle.ts';
import { buildLauncher } from './build/launcher.ts';
import { nativeKoffi } from './build/native.ts';
import { install } from './build/place.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = join(root, 'dist');

/** Bundle by entry; each runs alone, with nothing but koffi's native file beside it. */
const executables = [
  { entry: 'agent/main.ts', output: 'bin/weftd' },
  { entry: 'cli/main.ts', output: 'bin/weftctl' },
  { entry: 'plugin/main.ts', output: 'cni/weft-standalone' },
] as const;

async function main(): Promise<void> {
  // dist/bin/weftd is CommonJS without a suffix: node takes its type from here.
  install({ path: join(dist, 'package.json'), content: '{"type":"commonjs"}\n', mode: 0o644 });
  install({ path: join(dist, 'native/koffi.node'), content: nativeKoffi(), mode: 0o644 });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const { entry, output } of executables) {
    const content = await bundle({ root, entry, version });
    install({ path: join(dist, output), content, mode: 0o755 });
  }
  const made = buildLauncher({ root, directory: join(dist, 'cni') });
  process.stdout.write(`build: dist/cni/weft is ${made}\n`);
}

await main();
