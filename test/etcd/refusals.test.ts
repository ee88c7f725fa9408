import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { isStoreError, type StoreErrorKind } from '../../agent/lease/errors.ts';
import { sleep, systemClock } from '../../clock/clock.ts';
import type { Log } from '../../log/log.ts';
import { peersWhen, scratch, startAgent, tamper } from '../unit/lease/builders.ts';
import { type Etcd, startEtcd } from './server.ts';

const limit = { timeout: 60_000 };
const never = new AbortController().signal;

const fails = (kind: StoreErrorKind, text: RegExp) => (error: unknown) => {
  assert.ok(isStoreError(error, kind), String(error));
  assert.match(error.message, text);
  keepsSecret(error);
  return true;
};

const password = 'correct horse';
const keepsSecret = (value: unknown): void =>
  assert.doesNotMatch(inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true }), /correct horse/);

/** Keeps all that is said, at any level. */
function recordingLog(): Log & { readonly said: unknown[] } {
  const said: unknown[] = [];
  const say: Log['info'] = (event, fields) => void said.push({ event, fields });
  return { said, debug: say, info: say, warn: say, error: say, fatal: say };
}

test(
  'the authority alone is enough for TLS; another one is refused with the endpoint and the remedy',
  limit,
  async (t) => {
    const etcd = await startEtcd(t, { tls: true });
    assert.deepEqual((await etcd.open().list(never)).records, []);
    const caFile = join(etcd.folder, 'other.pem');
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        '/dev/null',
      ].concat(['-out', caFile, '-subj', '/CN=another', '-days', '2']),
      { stdio: 'pipe' },
    );
    await assert.rejects(
      etcd.open({ tls: { caFile, client: undefined } }).list(never),
      fails(
        'refused',
        /https:\/\/127\.0\.0\.1:\d+: the server's certificate is not trusted by .*store\.caFile/,
      ),
    );
  },
);

test('an endpoint where nobody listens is named', limit, async (t) => {
  const etcd = await startEtcd(t);
  const store = etcd.open({ endpoints: [{ secure: false, host: '127.0.0.1', port: 1 }] });
  await assert.rejects(store.list(never), fails('away', /etcd http:\/\/127\.0\.0\.1:1 does not answer/));
});

test('a connection that was closed is a store that is away, for requests and streams', limit, async (t) => {
  const etcd = await startEtcd(t);
  const store = etcd.open();
  const { cursor } = await store.list(never);
  store.close();
  const away = fails('away', /does not answer: .*shut down/);
  await assert.rejects(store.list(never), away);
  await assert.rejects(store.watch(cursor, never)[Symbol.asyncIterator]().next(), away);
  await assert.rejects(store.keepAlive('1', never), away);
});

/** A user `weft` with the password, whose role may read and write below `/mine`. */
function enableAuth(etcd: Etcd): string {
  etcd.ctl('user', 'add', 'root:root');
  etcd.ctl('role', 'add', 'root');
  etcd.ctl('user', 'grant-role', 'root', 'root');
  etcd.ctl('role', 'add', 'weft');
  etcd.ctl('role', 'grant-permission', 'weft', 'readwrite', '/mine/', '/mine0');
  etcd.ctl('user', 'add', `weft:${password}`);
  etcd.ctl('user', 'grant-role', 'weft', 'weft');
  etcd.ctl('auth', 'enable');
  const passwordFile = join(etcd.folder, 'password');
  writeFileSync(passwordFile, `${password}\n`);
  return passwordFile;
}

test(
  'user and password: the right ones work, the wrong ones are told apart from missing rights',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const passwordFile = enableAuth(etcd);
    const login = { username: 'weft', passwordFile };
    const home = scratch(t);
    const store = etcd.open({ prefix: '/mine', login });
    const log = recordingLog();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', log });
    assert.equal(a.holder.status.phase, 'held');
    await a.stop();
    keepsSecret(log.said);
    keepsSecret(store.description);

    const wrong = join(etcd.folder, 'wrong');
    writeFileSync(wrong, 'correct horse battery staple');
    const open = async (changes: Parameters<Etcd['open']>[0]) => etcd.open(changes).list(never);
    await assert.rejects(
      open({ prefix: '/mine', login: { username: 'weft', passwordFile: wrong } }),
      fails('refused', /user or password is wrong: check store\.username/),
    );
    await assert.rejects(
      open({ prefix: '/other', login }),
      fails('refused', /grant it readwrite.*prefix \/other/),
    );
    await assert.rejects(open({ prefix: '/mine' }), fails('refused', /wants a user: set store\.username/));
    await assert.rejects(
      open({ prefix: '/mine', login: { username: 'weft', passwordFile: '/nowhere' } }),
      fails('refused', /cannot read \/nowhere/),
    );
  },
);

test('the password may be in the environment, from where no child inherits it', limit, async (t) => {
  const etcd = await startEtcd(t);
  enableAuth(etcd);
  const login = { username: 'weft', passwordFile: undefined };
  assert.throws(() => etcd.open({ prefix: '/mine', login }), fails('refused', /set WEFT_ETCD_PASSWORD/));
  process.env.WEFT_ETCD_PASSWORD = password;
  await etcd.open({ prefix: '/mine', login }).list(never);
  assert.equal(execFileSync('sh', ['-c', 'echo "$WEFT_ETCD_PASSWORD"'], { encoding: 'utf8' }), '\n');
  // And once more: another connection of this process has it too.
  await etcd.open({ prefix: '/mine', login }).list(never);
});

test('a token that the server has forgotten is got anew, and nobody notices', limit, async (t) => {
  const etcd = await startEtcd(t);
  const passwordFile = enableAuth(etcd);
  const store = etcd.open({ prefix: '/mine', login: { username: 'weft', passwordFile } });
  const home = scratch(t);
  const timing = { renewSeconds: 1 };
  const log = recordingLog();
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', timing, log });
  await etcd.members[0]?.restart();
  const { now } = systemClock;
  const restartedMs = now();
  while ((a.holder.status.confirmedMs ?? 0) <= restartedMs) await sleep(systemClock, 50, never);
  await store.list(never);
  keepsSecret(log.said);
});

test(
  'an endless value and a subnet from elsewhere are reported by key; healthy peers stay',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const store = etcd.open();
    const home = scratch(t);
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const b = await startAgent(t, { store: etcd.open(), home, name: 'node-2', publicIp: '192.168.188.102' });
    await peersWhen(a.holder, ({ leases }) => leases.has(b.holder.lease.key));
    await tamper(store, 'subnets/10.244.200.0-24', 'x'.repeat(1_000_000));
    await tamper(store, 'subnets/10.99.0.0-24', '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}');
    const { leases, problems } = await peersWhen(a.holder, (peers) => peers.problems.length === 2);
    assert.deepEqual([...leases.keys()], [b.holder.lease.key]);
    assert.match(
      problems.map(({ reason }) => reason).join(),
      /1000000 characters.*outside the cluster's network/,
    );
  },
);
