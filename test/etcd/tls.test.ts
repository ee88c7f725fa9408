/** Certificates: renewed under a running agent, and refused by name of the side that has to act. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isStoreError } from '../../agent/lease/errors.ts';
import { type Etcd, makeAuthority, makeCertificate, startEtcd } from './server.ts';

const limit = { timeout: 60_000 };
const never = new AbortController().signal;

const refused = (text: RegExp) => (error: unknown) => {
  assert.ok(isStoreError(error, 'refused'), String(error));
  assert.match(error.message, text);
  return true;
};

function client(etcd: Etcd, wish: { days?: number; authority?: string; name?: string } = {}) {
  const name = wish.name ?? 'client';
  makeCertificate(etcd.folder, { san: 'DNS:node-1', days: 2, authority: 'ca', ...wish, name });
  const at = (file: string): string => join(etcd.folder, file);
  return { caFile: at('ca.pem'), client: { certFile: at(`${name}.pem`), keyFile: at(`${name}.key`) } };
}

/** A connection is made for each: the server of before is gone. */
async function reconnect(etcd: Etcd): Promise<void> {
  for (const member of etcd.members) await member.restart();
}

test('client certificate, renewed in place: next connection uses it, without a restart', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true, clientAuth: true });
  const store = etcd.open({ tls: client(etcd, { days: -1 }) });
  await assert.rejects(
    store.list(never),
    refused(/our certificate .*client\.pem expired on .*: renew it in place/),
  );
  client(etcd, { name: 'renewed' });
  for (const file of ['key', 'pem']) {
    renameSync(join(etcd.folder, `renewed.${file}`), join(etcd.folder, `client.${file}`));
  }
  for (;;) {
    const outcome = await store.list(never).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) break;
    assert.match(outcome.message, /expired|does not answer/);
  }
});

test(
  'client certificate and key do not belong together for a moment: those of before are used',
  limit,
  async (t) => {
    const etcd = await startEtcd(t, { tls: true, clientAuth: true });
    const tls = client(etcd);
    const store = etcd.open({ tls });
    await store.list(never);
    client(etcd, { name: 'renewed' });
    renameSync(join(etcd.folder, 'renewed.key'), tls.client.keyFile);
    await reconnect(etcd);
    for (;;) {
      const outcome = await store.list(never).catch((error: unknown) => error);
      if (!(outcome instanceof Error)) break;
      assert.ok(isStoreError(outcome, 'away'), String(outcome));
    }
  },
);

test('client certificate of another authority: the server does not trust ours', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true, clientAuth: true });
  makeAuthority(etcd.folder, 'other');
  const store = etcd.open({ tls: client(etcd, { authority: 'other' }) });
  await assert.rejects(
    store.list(never),
    refused(/our certificate .*client\.pem is not trusted by the server/),
  );
});

test('no client certificate where one is required: the keys to set are named', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true, clientAuth: true });
  await assert.rejects(
    etcd.open().list(never),
    refused(/requires a client certificate: set store\.certFile/),
  );
});

test("server certificate expired: named as the server's, with the remedy", limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true, server: { days: -1 } });
  await assert.rejects(etcd.open().list(never), refused(/the server's certificate expired: renew it there/));
});

test('server certificate for another name: both names are told', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true, server: { san: 'DNS:etcd.example,IP:10.1.2.3' } });
  await assert.rejects(
    etcd.open().list(never),
    refused(/does not name 127\.0\.0\.1 but etcd\.example, 10\.1\.2\.3: name the endpoint/),
  );
});

test('server certificate of another authority: the file with ours is named', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true });
  makeAuthority(etcd.folder, 'other');
  const caFile = join(etcd.folder, 'other.pem');
  await assert.rejects(
    etcd.open({ tls: { caFile, client: undefined } }).list(never),
    refused(/the server's certificate is not trusted by the authorities in .*other\.pem: set store\.caFile/),
  );
});

test("no caFile: the system's authorities count, not those of Node.js", limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true });
  const tls = { caFile: undefined, client: undefined };
  await assert.rejects(etcd.open({ tls }).list(never), refused(/not trusted by the system's authorities/));
  t.after(() => delete process.env.SSL_CERT_FILE);
  process.env.SSL_CERT_FILE = join(etcd.folder, 'ca.pem');
  assert.deepEqual((await etcd.open({ tls }).list(never)).records, []);
});

test('certificate file that is none: refused at the start, with its name', limit, async (t) => {
  const etcd = await startEtcd(t, { tls: true });
  const tls = client(etcd);
  writeFileSync(tls.client.certFile, 'not a certificate');
  assert.throws(() => etcd.open({ tls }), refused(/failed to use .*client\.pem.* for TLS/));
});
