/** From the configuration to a store. Only the configured one is loaded. */
import { systemClock } from '../../../clock/clock.ts';
import { cidr, containsIp } from '../../../inet/cidr.ts';
import { parseIp } from '../../../inet/ip.ts';
import { readBootId } from '../../../kernel/boot.ts';
import { quoted } from '../../../problem/printable.ts';
import type { RecordStoreConfig } from '../../config/config.ts';
import { FileStore } from './file/file-store.ts';
import type { LeaseStore } from './store.ts';

/** What an operator should know about a store that works; empty where there is nothing. */
export function storeWarnings(config: RecordStoreConfig): string[] {
  if (config.type !== 'etcd' || !config.login) return [];
  const clear = config.endpoints.filter(({ secure, host }) => !secure && !isLoopback(host));
  if (clear.length === 0) return [];
  const hosts = clear.map(({ host }) => host).join(', ');
  return [
    `the password of etcd user ${quoted(config.login.username)} crosses the network in clear to ${hosts}; use https:// endpoints`,
  ];
}

const isLoopback = (host: string): boolean => {
  const address = parseIp(host);
  return (
    host === 'localhost' || (address !== undefined && loopback.some((range) => containsIp(range, address)))
  );
};
const loopback = [cidr('127.0.0.0/8'), cidr('::1/128')];

/** Throws `StoreError` `refused` where what is configured cannot work: folder, certificates, password file. */
export async function openStore(config: RecordStoreConfig): Promise<LeaseStore> {
  switch (config.type) {
    case 'file':
      return new FileStore({ path: config.path, clock: systemClock, boot: readBootId() });
    case 'etcd': {
      const { EtcdStore } = await import('./etcd/etcd-store.ts');
      return EtcdStore.open(config);
    }
  }
}
