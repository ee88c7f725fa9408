/** The kernel's state and the log, as the host's own programs print them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { BundleItem } from './item.ts';

const run = promisify(execFile);

const MOST_BYTES = 16 * 1024 * 1024;
const LOG_LINES = '5000';

const commands: readonly (readonly [name: string, ...argv: string[]])[] = [
  ['kernel/links.json', 'ip', '-json', '-details', '-statistics', 'link'],
  ['kernel/addresses.json', 'ip', '-json', 'address'],
  ['kernel/routes-ipv4.json', 'ip', '-4', '-json', 'route', 'show', 'table', 'all'],
  ['kernel/routes-ipv6.json', 'ip', '-6', '-json', 'route', 'show', 'table', 'all'],
  ['kernel/rules.json', 'ip', '-json', 'rule'],
  ['kernel/neighbours.json', 'ip', '-json', 'neigh'],
  ['kernel/fdb.json', 'bridge', '-json', 'fdb'],
  ['kernel/nft.json', 'nft', '-json', 'list', 'ruleset'],
  ['kernel/sockets.txt', 'ss', '--udp', '--tcp', '--listening', '--numeric'],
  [
    'log.txt',
    ...['journalctl', '--unit', 'weftd', '--unit', 'weft-podd', '--output', 'short-iso'],
    ...['--lines', LOG_LINES, '--no-pager', '--quiet'],
  ],
];

export const commandItems = (): BundleItem[] =>
  commands.map(([name, program = '', ...args]) => ({
    name,
    read: async (signal) => (await run(program, args, { signal, maxBuffer: MOST_BYTES })).stdout,
  }));

const files: Readonly<Record<string, string>> = {
  'kernel/version.txt': '/proc/version',
  'kernel/modules.txt': '/proc/modules',
  'kernel/udp-counters.txt': '/proc/net/snmp',
  'kernel/device-counters.txt': '/proc/net/dev',
  'os-release.txt': '/etc/os-release',
};

export const fileItems = (): BundleItem[] =>
  Object.entries(files).map(([name, path]) => ({ name, read: () => readFileSync(path, 'utf8') }));
