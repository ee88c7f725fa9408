/** `weftctl bundle`: one archive for a bug report. */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { withProgress } from './progress.ts';
import { UsageError } from './usage-error.ts';

interface BundleOptions {
  readonly config?: string;
  readonly file?: string;
}

export function describeBundle(bundle: Command): void {
  bundle
    .description('Collect what a bug report needs into one archive, without secrets.')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .option('--file <file>', 'the archive (weft-bundle-HOST-TIME.tar.gz); - writes to stdout')
    .addHelpText(
      'after',
      `
Has status, health, events, metrics, pending changes, weft.yaml, CNI configurations, records of
the store, kernel state and the log of the units. Works without weftd, without the store, and
with a weft.yaml that is refused. Passwords, keys and tokens are removed; names and addresses
of nodes and pods are not. At most 32 MB before compression.

Examples:
  weftctl bundle
  weftctl bundle --file /tmp/node-1.tar.gz
  ssh node-1 sudo weftctl bundle --file - >node-1.tar.gz`,
    )
    .action(collect);
}

async function collect(options: BundleOptions): Promise<void> {
  const { configSource } = await import('../agent/config/load.ts');
  const { makeBundle } = await import('../agent/bundle/bundle.ts');
  const source = configSource({ flag: options.config, env: process.env });
  let current = '';
  const { archive, files } = await withProgress(
    () => `collecting ${current}`,
    () =>
      makeBundle({
        source,
        env: process.env,
        onItem: (name) => {
          current = name;
        },
      }),
  );
  const path = options.file ?? `weft-bundle-${hostname()}-${stamp()}.tar.gz`;
  if (path === '-') return void process.stdout.write(archive);
  write(path, archive);
  for (const { name, failed } of files)
    if (failed !== undefined) process.stderr.write(`not collected: ${name}: ${failed}\n`);
  process.stdout.write(
    `${path}: ${files.length} files, ${Math.ceil(archive.length / 1024)} kB; look through it before you send it\n`,
  );
}

/** An archive that is there is not replaced. */
function write(path: string, archive: Buffer): void {
  try {
    writeFileSync(path, archive, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`failed to write ${path}: ${reason}; name another file with --file`);
  }
}

/** `20261201T034500Z` */
const stamp = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '');
