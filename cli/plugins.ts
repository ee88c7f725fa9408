/** `weftctl plugins`: weft's executables where a runtime looks for plugins, installed from a container. */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { withExamples } from './output.ts';

interface Options {
  directory: string;
  stateDir: string;
}

export function describePlugins(plugins: Command): void {
  plugins.description("weft's executables in a runtime's plugin directory, for a node without the package.");

  withExamples(
    withPlaces(plugins.command('install')),
    'weftctl plugins install --directory /host/opt/cni/bin',
  )
    .description('puts weft there, and loopback where there is none; replaces only what it put there before')
    .action(async (options: Options) => {
      const { installPlugins } = await import('../agent/plugin-files/plugin-files.ts');
      const from = join(dirname(realpathSync(process.argv[1] ?? '.')), '../cni');
      const outcomes = installPlugins({ from, ...options });
      const lines = Object.entries(outcomes).map(([name, outcome]) => `${name} ${words[outcome]}\n`);
      process.stdout.write(lines.join(''));
    });

  withExamples(withPlaces(plugins.command('remove')), 'weftctl plugins remove --directory /host/opt/cni/bin')
    .description('removes what install put there')
    .action(async (options: Options) => {
      const { removePlugins } = await import('../agent/plugin-files/plugin-files.ts');
      const removed = removePlugins(options);
      process.stdout.write(removed.length > 0 ? `${removed.join(', ')} removed\n` : 'nothing to remove\n');
    });
}

const words = {
  installed: 'installed',
  kept: 'is up to date',
  foreign: 'is left alone: it is not from weft',
} as const;

const withPlaces = (command: Command): Command =>
  command
    .option('--directory <dir>', "the runtime's plugin directory", '/opt/cni/bin')
    .option('--state-dir <dir>', "the agent's stateDir", '/var/lib/weft');
