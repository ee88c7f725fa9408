/**
 * Makes `dist/`, what is installed and run: `npm run build` = tsc, then this. Every file is put in place by
 * rename, because a runtime may be executing the one it replaces ("text file busy").
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './build/bundle.ts';
import { buildLauncher, buildProgram } from './build/launcher.ts';
import { nativeKoffi } from './build/native.ts';
import { install } from './build/place.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = join(root, 'dist');

const executable = { form: (text: string) => `#!/usr/bin/env node\n${text}`, mode: 0o755, brief: false };
/** Its first line is what the code compiled for it is recognised by. */
const identified = { form: (text: string) => `//${sha256(text)}\n${text}`, mode: 0o644, brief: true };
/** The same as one function, of what CommonJS gives its modules. */
const asFunction = {
  form: (text: string) =>
    identified.form(`(function (exports, require, module, __filename, __dirname) {${text}\n})`),
  mode: 0o644,
  brief: false,
};
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Every bundle has all it needs inside, but for koffi's native file. */
const bundles = [
  { entry: 'agent/start/start.ts', output: 'bin/weftd', ...executable },
  { entry: 'agent/main.ts', output: 'lib/weftd.js', ...asFunction },
  { entry: 'cli/main.ts', output: 'bin/weftctl', ...executable },
  { entry: 'cli/podd.ts', output: 'bin/weft-podd', ...executable },
  { entry: 'plugin/main.ts', output: 'lib/standalone.js', ...identified },
  { entry: 'plugin/launcher/standalone.ts', output: 'cni/weft-standalone', ...executable, brief: true },
] as const;

async function main(): Promise<void> {
  // dist/bin/weftd is CommonJS without a suffix: node takes its type from here.
  install({ path: join(dist, 'package.json'), content: '{"type":"commonjs"}\n', mode: 0o644 });
  install({ path: join(dist, 'native/koffi.node'), content: nativeKoffi(), mode: 0o644 });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const { entry, output, form, mode, brief } of bundles) {
    const text = await bundle({ root, entry, version, brief });
    install({ path: join(dist, output), content: form(text), mode });
  }
  const made = buildLauncher({ root, directory: join(dist, 'cni') });
  process.stdout.write(`build: dist/cni/weft is ${made}\n`);
  for (const [name, path] of [
    ['pause', 'lib/pause'],
    ['loopback', 'cni/loopback'],
  ] as const) {
    const built = buildProgram({ root, name, path: join(dist, path) });
    process.stdout.write(`build: dist/${path} is ${built}\n`);
  }
}

await main();
