import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import type { LeaseStore } from '../../../agent/lease/store/store.ts';
import { systemClock } from '../../../clock/clock.ts';
import { readBootId } from '../../../kernel/boot.ts';
import { leaseBehaviours } from './behaviours.ts';
import { peersWhen, scratch, startAgent, subnetValues } from './builders.ts';

const limit = { timeout: 60_000 };
const openAt = (path: string) => new FileStore({ path, clock: systemClock, boot: readBootId() });

leaseBehaviours(async (t) => {
  const path = join(scratch(t), 'store');
  return () => openAt(path);
});

test('a fresh folder is filled from below, in the layout that people read', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = openAt(path);
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
  const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
  assert.deepEqual([a.holder.lease.key, b.holder.lease.key], ['10.244.1.0-24', '10.244.2.0-24']);
  assert.equal(
    readFileSync(join(path, 'subnets/10.244.2.0-24'), 'utf8'),
    '{"PublicIP":"192.168.188.102","PublicIPv6":null,"BackendType":"vxlan",' +
      '"BackendData":{"VNI":1,"VtepMAC":"02:00:c0:a8:bc:66"}}',
  );
  assert.equal(
    readFileSync(join(path, 'config'), 'utf8'),
    '{"Network":"10.244.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"Port":8472}}',
  );
});

test('a subnet taken between a choice and its claim is a lost race, not a prize', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = openAt(path);
  const first = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
  let seen = (): void => {};
  const sight = new Promise<void>((resolve) => {
    seen = resolve;
  });
  let a: Awaited<ReturnType<typeof startAgent>> | undefined;
  const slow = openAt(path);
  const late: LeaseStore = Object.assign(Object.create(slow) as LeaseStore, {
    list: slow.list.bind(slow),
    read: slow.read.bind(slow),
    commit: slow.commit.bind(slow),
    keepAlive: slow.keepAlive.bind(slow),
    silence: slow.silence.bind(slow),
    revoke: slow.revoke.bind(slow),
    // The other node is quicker, and we have seen its record by the time our session is there.
    grant: async (ttlSeconds: number, signal: AbortSignal) => {
      a ??= await startAgent(t, first);
      await sight;
      return slow.grant(ttlSeconds, signal);
    },
    async *watch(cursor: string, signal: AbortSignal) {
      for await (const item of slow.watch(cursor, signal)) {
        yield item;
        if (item.type === 'list' && item.records.some(({ key }) => key === 'subnets/10.244.1.0-24')) seen();
      }
    },
  });
  const b = await startAgent(t, { ...first, store: late, name: 'node-2', publicIp: '192.168.188.102' });
  assert.deepEqual([a?.holder.lease.key, b.holder.lease.key], ['10.244.1.0-24', '10.244.2.0-24']);
  assert.equal(a?.holder.status.phase, 'held');
  assert.deepEqual(Object.keys(await subnetValues(store)), ['10.244.1.0-24', '10.244.2.0-24']);
});

test(
  'files edited and deleted by hand are noticed, also when the folder itself was removed',
  limit,
  async (t) => {
    const home = scratch(t);
    const path = join(home, 'store');
    const store = new FileStore({ path, clock: systemClock, boot: readBootId(), pollSeconds: 0.2 });
    const { holder } = await startAgent(t, {
      store,
      home,
      name: 'node-1',
      publicIp: '192.168.188.101',
      timing: { graceSeconds: 0 },
    });
    const byHand = '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}';
    writeFileSync(join(path, 'subnets/10.244.9.0-24'), byHand);
    await peersWhen(holder, ({ leases }) => leases.has('10.244.9.0-24'));
    rmSync(join(path, 'subnets'), { recursive: true });
    mkdirSync(join(path, 'subnets'));
    writeFileSync(join(path, 'subnets/10.244.8.0-24'), byHand.replace('.9', '.8'));
    await peersWhen(holder, ({ leases }) => leases.has('10.244.8.0-24') && !leases.has('10.244.9.0-24'));
  },
);

test(
  'a change of several files that a killed process began is completed by the next one',
  limit,
  async (t) => {
    const path = join(scratch(t), 'store');
    const store = openAt(path);
    writeFileSync(
      join(path, 'weft/journal'),
      JSON.stringify({ 'subnets/10.244.1.0-24': '{}', 'weft/nodes/n': '{}', config: null }),
    );
    const { records } = await store.list(new AbortController().signal);
    assert.deepEqual(records.map(({ key }) => key).sort(), ['subnets/10.244.1.0-24', 'weft/nodes/n']);
  },
);

test('of many processes that compare and write at once, one wins each round', limit, async (t) => {
  const path = join(scratch(t), 'store');
  openAt(path);
  const worker = fileURLToPath(new URL('./file-store-worker.js', import.meta.url));
  const rounds = 20;
  const wins = await Promise.all(
    [1, 2, 3, 4].map(async () => {
      const child = spawn(process.execPath, [worker, path, String(rounds)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const chunks: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(child, 'close');
      return Number(Buffer.concat(chunks).toString());
    }),
  );
  const counter = readFileSync(join(path, 'subnets/10.244.1.0-24'), 'utf8');
  assert.equal(
    wins.reduce((sum, won) => sum + won, 0),
    Number(counter),
  );
  assert.ok(Number(counter) >= rounds, counter);
});

test('file store, names in its records lead out of the folder: they are not followed', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = openAt(path);
  const outside = join(home, 'important.json');
  writeFileSync(outside, 'kept');
  writeFileSync(
    join(path, 'weft/journal'),
    JSON.stringify({
      '../important.json': 'overwritten',
      'subnets/../../important.json': null,
      '../made': '{}',
    }),
  );
  const session = JSON.stringify({
    ttlSeconds: 0,
    keys: ['../important.json', 'weft/nodes/../../../important.json'],
  });
  writeFileSync(join(path, 'weft/sessions/ab'), session);
  writeFileSync(join(path, 'weft/heartbeats/ab'), 'other-boot 0');
  utimesSync(join(path, 'weft/heartbeats/ab'), 0, 0);
  await store.list(new AbortController().signal);
  assert.equal(readFileSync(outside, 'utf8'), 'kept');
  assert.ok(!existsSync(join(home, 'made')));
  assert.ok(!existsSync(join(path, 'weft/journal')) && !existsSync(join(path, 'weft/sessions/ab')));
});

test('file store, symbolic links in the folder: nothing is written through them', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = openAt(path);
  const outside = join(home, 'important.json');
  writeFileSync(outside, 'kept');
  symlinkSync(outside, join(path, 'weft/tmp/next'));
  symlinkSync(outside, join(path, 'subnets/10.244.1.0-24'));
  const write = [{ type: 'put' as const, key: 'subnets/10.244.1.0-24', value: '{}', session: undefined }];
  assert.ok(await store.commit({ compare: [], write }, new AbortController().signal));
  assert.equal(readFileSync(outside, 'utf8'), 'kept');
  assert.equal(readFileSync(join(path, 'subnets/10.244.1.0-24'), 'utf8'), '{}');
  rmSync(join(path, 'subnets'), { recursive: true });
  mkdirSync(join(home, 'elsewhere'));
  symlinkSync(join(home, 'elsewhere'), join(path, 'subnets'));
  await assert.rejects(
    store.commit({ compare: [], write }, new AbortController().signal),
    /subnets is a symbolic link: replace it by a folder/,
  );
});
