/** Which store a command talks to: that of weft.yaml, or one named on the command line. */
import type { Command } from 'commander';
import type { Config } from '../agent/config/config.ts';
import { configSource, loadConfig } from '../agent/config/load.ts';
import { readConfig } from '../agent/config/read.ts';
import { openStore, storeWarnings } from '../agent/lease/store/open-store.ts';
import type { LeaseStore } from '../agent/lease/store/store.ts';
import { UsageError } from './usage-error.ts';

export interface StoreOptions {
  readonly config?: string;
  readonly etcd?: string;
  readonly prefix?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly username?: string;
  readonly passwordFile?: string;
}

export const withStoreOptions = (command: Command): Command =>
  command
    .option('--config <file>', 'weft.yaml to take the store from (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .option('--etcd <urls>', 'endpoints of etcd, with commas between them, in place of weft.yaml')
    .option('--prefix <prefix>', 'prefix in etcd (/coreos.com/network)')
    .option('--ca-file <file>', "certificate of etcd's authority")
    .option('--cert-file <file>', 'our certificate for etcd')
    .option('--key-file <file>', 'its key')
    .option('--username <name>', 'user at etcd')
    .option('--password-file <file>', 'file with the password of that user (else WEFT_ETCD_PASSWORD)');

/** The configuration that the options amount to: weft.yaml's, or that of the store named here and of `more`. */
export function configOf(options: StoreOptions, more: Record<string, unknown> = {}): Config {
  const { config, etcd, ...rest } = options;
  if (etcd === undefined) {
    const [given] = Object.keys(more);
    if (given !== undefined)
      throw new UsageError(`${given} is weft.yaml's here: change it there, or name the store with --etcd`);
    return loadConfig(configSource({ flag: config, env: process.env })).config;
  }
  const { prefix, caFile, certFile, keyFile, username, passwordFile } = rest;
  const store = {
    type: 'etcd',
    endpoints: etcd.split(','),
    prefix,
    caFile,
    certFile,
    keyFile,
    username,
    passwordFile,
  };
  return readConfig('the command line', JSON.stringify({ store, ...more }));
}

/** Opens the store for as long as the block takes. */
export async function withStore<T>(
  config: Config,
  block: (store: LeaseStore, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (config.store.type === 'kubernetes') {
    throw new UsageError(
      'unsupported with store kubernetes, where the Nodes are the records; use kubectl get nodes, kubectl delete node',
    );
  }
  for (const warning of storeWarnings(config.store)) process.stderr.write(`warning: ${warning}\n`);
  const store = await openStore(config.store);
  try {
    return await block(store, AbortSignal.timeout(30_000));
  } finally {
    store.close();
  }
}
