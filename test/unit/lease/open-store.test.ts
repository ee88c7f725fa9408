import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EtcdStoreConfig } from '../../../agent/config/config.ts';
import { storeWarnings } from '../../../agent/lease/store/open-store.ts';

const config = (secure: boolean, hosts: string[], login = true): EtcdStoreConfig => ({
  type: 'etcd',
  endpoints: hosts.map((host) => ({ secure, host, port: 2379 })),
  prefix: '/coreos.com/network',
  tls: undefined,
  login: login ? { username: 'weft', passwordFile: '/p' } : undefined,
  leaseTtlSeconds: 86_400,
  peerGraceSeconds: 10,
});

test('password over http:// to another machine: a warning names user and hosts', () => {
  assert.deepEqual(storeWarnings(config(false, ['127.0.0.1', '10.0.0.5', 'etcd.example'])), [
    'the password of etcd user "weft" crosses the network in clear to 10.0.0.5, etcd.example; use https:// endpoints',
  ]);
});

test('password over https://, over loopback, or no password: no warning', () => {
  assert.deepEqual(storeWarnings(config(true, ['10.0.0.5'])), []);
  assert.deepEqual(storeWarnings(config(false, ['127.0.0.1', '::1', 'localhost', '127.8.9.1'])), []);
  assert.deepEqual(storeWarnings(config(false, ['10.0.0.5'], false)), []);
  assert.deepEqual(storeWarnings({ type: 'file', path: '/x' }), []);
});
