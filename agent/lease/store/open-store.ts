/** From the configuration to a store. Only the configured one is loaded. */
import { systemClock } from '../../../clock/clock.ts';
import { readBootId } from '../../../kernel/boot.ts';
import type { RecordStoreConfig } from '../../config/config.ts';
import { FileStore } from './file/file-store.ts';
import type { LeaseStore } from './store.ts';

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
