/** A saved lease that cannot be read: what it costs, and what it must not cost. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSaved } from '../../../agent/lease/disk/saved.ts';
import { StoreError } from '../../../agent/lease/errors.ts';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import type { LeaseStore } from '../../../agent/lease/store/store.ts';
import { systemClock } from '../../../clock/clock.ts';
import { readBootId } from '../../../kernel/boot.ts';
import { type Log, silentLog } from '../../../log/log.ts';
import { foldersOf, scratch, startAgent } from './builders.ts';

const limit = { timeout: 60_000 };
const openAt = (path: string) => new FileStore({ path, clock: systemClock, boot: readBootId() });
const node = { name: 'node-1', publicIp: '192.168.188.101' };

const good = {
  key: '10.244.7.0-24',
  value: '{"PublicIP":"192.168.188.101","BackendType":"host-gw"}',
  cluster: '{"Network":"10.244.0.0/16","SubnetLen":24}',
};

function recorder(): { log: Log; reasons: string[] } {
  const reasons: string[] = [];
  const warn: Log['warn'] = (_event, fields = {}) => {
    if ('reason' in fields) reasons.push(String(fields.reason));
  };
  return { log: { ...silentLog, warn }, reasons };
}

const unreadable: Record<string, (path: string) => void> = {
  'not JSON': (path) => writeFileSync(path, '{"key":"10.244.7.0-24","val'),
  empty: (path) => writeFileSync(path, ''),
  'a folder': (path) => mkdirSync(path),
  'no lease': (path) => writeFileSync(path, JSON.stringify({ ...good, value: '{}' })),
  'a cluster configuration that does not validate': (path) =>
    writeFileSync(path, JSON.stringify({ ...good, cluster: '{"Network":"10.244.0.0/33"}' })),
  'a cluster configuration of another type': (path) =>
    writeFileSync(path, JSON.stringify({ ...good, cluster: 7 })),
};

for (const [what, make] of Object.entries(unreadable)) {
  test(`saved lease is ${what}: agent starts from the store and names the file`, limit, async (t) => {
    const home = scratch(t);
    const { stateDir } = foldersOf(home, 'node-1');
    mkdirSync(stateDir, { recursive: true });
    make(join(stateDir, 'lease.json'));
    const { log, reasons } = recorder();
    const agent = await startAgent(t, { store: openAt(join(home, 'store')), home, ...node, log });
    assert.equal(agent.holder.status.phase, 'held');
    assert.ok(
      reasons.some((reason) => reason.startsWith(`failed to read ${join(stateDir, 'lease.json')}: `)),
      reasons.join('; '),
    );
    await agent.stop();
  });
}

test(
  'saved lease whose cluster configuration does not validate: node asks for the same subnet',
  limit,
  async (t) => {
    const home = scratch(t);
    const { stateDir } = foldersOf(home, 'node-1');
    mkdirSync(stateDir, { recursive: true });
    writeFileSync(join(stateDir, 'lease.json'), JSON.stringify({ ...good, cluster: '{}' }));
    const agent = await startAgent(t, { store: openAt(join(home, 'store')), home, ...node });
    assert.equal(agent.holder.lease.key, good.key);
    await agent.stop();
  },
);

test('saved lease cannot be read and store is unreachable: file is left as it is', limit, async (t) => {
  const home = scratch(t);
  const { stateDir } = foldersOf(home, 'node-1');
  mkdirSync(stateDir, { recursive: true });
  const path = join(stateDir, 'lease.json');
  writeFileSync(path, '{"key":"10.2');
  const stop = new AbortController();
  const asked = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve());
  });
  const store: LeaseStore = Object.assign(openAt(join(home, 'store')), {
    list: async () => {
      stop.abort();
      throw new StoreError('away', 'store: no answer');
    },
  });
  startAgent(t, { store, home, ...node, signal: stop.signal }).catch(() => undefined);
  await asked;
  assert.equal(readFileSync(path, 'utf8'), '{"key":"10.2');
  assert.equal(readSaved({ stateDir, boot: readBootId(), clock: systemClock }).kind, 'unreadable');
});

test('published deadline cannot be read: saved deadline proves nothing', limit, async (t) => {
  const home = scratch(t);
  const { runDir, stateDir } = foldersOf(home, 'node-1');
  const first = await startAgent(t, { store: openAt(join(home, 'store')), home, ...node });
  await first.stop();
  writeFileSync(join(runDir, 'lease.json'), '{');
  const store: LeaseStore = Object.assign(openAt(join(home, 'store')), {
    list: async () => {
      throw new StoreError('away', 'store: no answer');
    },
  });
  const saved = readSaved({ stateDir, boot: readBootId(), clock: systemClock });
  assert.ok(saved.kind === 'read' && saved.saved.deadlineMs > systemClock.now());
  const again = await startAgent(t, { store, home, ...node });
  assert.deepEqual([again.holder.status.phase, again.holder.status.deadlineMs], ['away', 0]);
});
