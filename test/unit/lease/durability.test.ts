/** What is promised to be on disk is synced before it counts: the lease, its renunciation, the folder store. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readLeaseFile } from '../../../agent/lease/disk/lease-file.ts';
import { renounceSaved } from '../../../agent/lease/disk/renounce.ts';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import { systemClock } from '../../../clock/clock.ts';
import { ip } from '../../../inet/ip.ts';
import { readBootId } from '../../../kernel/boot.ts';
import { foldersOf, peersWhen, scratch, startAgent, tamper } from './builders.ts';
import { type DiskTrace, traceDisk } from './disk-trace.ts';

const limit = { timeout: 60_000 };
const never = new AbortController().signal;
const openAt = (path: string) => new FileStore({ path, clock: systemClock, boot: readBootId() });
const node = { name: 'node-1', publicIp: '192.168.188.101' };

let trace: DiskTrace | undefined;
afterEach(() => trace?.stop());

/** Content synced, then put in its place, then the name synced. */
function assertDurable(steps: readonly string[], path: string): void {
  const placed = steps.findLastIndex((step) => step.startsWith('rename') && step.endsWith(` to ${path}`));
  assert.notEqual(placed, -1, `${path} was not written: ${steps.join('; ')}`);
  const made = steps[placed]?.split(' ')[1];
  assert.ok(
    steps.slice(0, placed).includes(`sync ${made}`),
    `${path}: content not synced: ${steps.join('; ')}`,
  );
  const folder = path.split('/').slice(0, -1).join('/');
  assert.ok(steps.slice(placed).includes(`sync ${folder}`), `${path}: name not synced: ${steps.join('; ')}`);
}

test('lease gained: saved lease is durable before the agent uses it', limit, async (t) => {
  const home = scratch(t);
  trace = await traceDisk(home);
  const { holder } = await startAgent(t, { store: openAt(join(home, 'store')), home, ...node });
  assert.equal(holder.status.phase, 'held');
  assertDurable(trace.steps, 'node-1/state/lease.json');
});

test('peer joins: saved lease is durable without a synchronous write', limit, async (t) => {
  const home = scratch(t);
  const store = openAt(join(home, 'store'));
  const { holder } = await startAgent(t, { store, home, ...node });
  trace = await traceDisk(join(home, 'node-1'));
  await tamper(store, 'subnets/10.244.9.0-24', '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}');
  await peersWhen(holder, ({ leases }) => leases.size === 1);
  while (!trace.steps.includes('sync state')) await new Promise(setImmediate);
  assert.deepEqual(
    trace.steps.filter((step) => step.includes('state')),
    ['sync state/lease.json.next', 'rename state/lease.json.next to state/lease.json', 'sync state'],
  );
  assert.match(readFileSync(join(home, 'node-1/state/lease.json'), 'utf8'), /10\.244\.9\.0-24/);
});

test('node leave: both deadlines on disk are durable before the subnet is given back', limit, async (t) => {
  const home = scratch(t);
  const agent = await startAgent(t, { store: openAt(join(home, 'store')), home, ...node });
  await agent.stop();
  trace = await traceDisk(join(home, 'node-1'));
  renounceSaved(foldersOf(home, 'node-1'));
  assertDurable(trace.steps, 'state/lease.json');
  assertDurable(trace.steps, 'run/lease.json');
});

test('node leave, runDir/lease.json is garbage: it is replaced by one without a deadline', limit, (t) => {
  const home = scratch(t);
  const folders = foldersOf(home, 'node-1');
  mkdirSync(folders.runDir, { recursive: true });
  writeFileSync(join(folders.runDir, 'lease.json'), '{"boot":"');
  renounceSaved(folders);
  const file = readLeaseFile(folders.runDir, readBootId());
  assert.deepEqual(file, { kind: 'read', key: '', phase: 'left', deadlineMs: 0 });
});

test(
  'file store, change of several records: journal and records are durable before the journal goes',
  limit,
  async (t) => {
    const root = join(scratch(t), 'store');
    const store = openAt(root);
    const { session } = await store.grant(60, never);
    trace = await traceDisk(root);
    const write = ['subnets/10.244.1.0-24', 'weft/nodes/n'].map((key) => ({
      type: 'put' as const,
      key,
      value: '{}',
      session,
    }));
    assert.ok(await store.commit({ compare: [], write }, never));
    const { steps } = trace;
    const removed = steps.indexOf('remove weft/journal');
    assert.notEqual(removed, -1);
    const before = steps.slice(0, removed);
    const journal = before.indexOf('rename weft/tmp/next to weft/journal');
    assert.equal(before[journal - 1], 'sync weft/tmp/next');
    assert.equal(before[journal + 1], 'sync weft');
    for (const path of ['subnets/10.244.1.0-24', 'weft/nodes/n', `weft/sessions/${session}`]) {
      assertDurable(before.slice(journal + 1), path);
    }
  },
);

test(
  'file store, disk takes part of a write: the change is refused, and the store stays as it was',
  limit,
  async (t) => {
    const root = join(scratch(t), 'store');
    const store = openAt(root);
    await tamper(store, 'subnets/10.244.1.0-24', 'before');
    const worker = fileURLToPath(new URL('./short-write-worker.js', import.meta.url));
    // A process may write files of one KiB; the kernel takes that much of a longer write and refuses the rest.
    const limited = spawnSync('bash', ['-c', 'ulimit -f 1; exec "$0" "$@"', process.execPath, worker, root], {
      encoding: 'utf8',
    });
    assert.match(limited.stdout, /^away: .*EFBIG/, limited.stderr);
    const records = await store.list(never);
    assert.deepEqual(
      records.records.map(({ key, value }) => [key, value]),
      [['subnets/10.244.1.0-24', 'before']],
    );
  },
);

test('address changes during an asynchronous save: the later lease is the one on disk', limit, async (t) => {
  const home = scratch(t);
  const store = openAt(join(home, 'store'));
  const { holder, stop } = await startAgent(t, { store, home, ...node });
  await holder.updateAttributes({ publicIps: [ip('192.168.188.77')], backend: { type: 'host-gw' } }, never);
  await stop();
  assert.match(readFileSync(join(home, 'node-1/state/lease.json'), 'utf8'), /192\.168\.188\.77/);
});
