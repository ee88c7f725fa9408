/** etcd's keys and the store's: the same without the prefix. */
import type { StoreRecord } from '../store.ts';
import type { KeyValue } from './methods.ts';

/** Every key under `prefix` + `/`, and nothing beside: `subnets-of-another` is no key of ours. */
export function keyRange(prefix: string): { key: Buffer; rangeEnd: Buffer } {
  const key = Buffer.from(`${prefix}/`);
  const rangeEnd = Buffer.from(`${prefix}0`);
  return { key, rangeEnd };
}

export const etcdKey = (prefix: string, key: string): Buffer => Buffer.from(`${prefix}/${key}`);

export function recordOf(kv: KeyValue, prefix: string): StoreRecord {
  return {
    key: kv.key.toString('utf8').slice(prefix.length + 1),
    value: kv.value.toString('utf8'),
    version: kv.modRevision,
    session: kv.lease === '0' ? undefined : kv.lease,
  };
}
