import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { LeaseHolder } from '../../agent/lease/holder.ts';
import { systemClock } from '../../clock/clock.ts';
import { peersWhen, scratch, startAgent, statusWhen } from '../unit/lease/builders.ts';
import { startEtcd } from './server.ts';

const limit = { timeout: 120_000 };
const never = new AbortController().signal;
const timing = { renewSeconds: 1 };
const address = (n: number) => `192.168.188.${100 + n}`;

const phaseWhen = (holder: LeaseHolder, wanted: string) =>
  holder.status.phase === wanted
    ? Promise.resolve(holder.status)
    : statusWhen(holder, ({ phase }) => phase === wanted);

test(
  'etcd killed and started again: the deadline stands meanwhile, and nothing is written',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const home = scratch(t);
    const { holder } = await startAgent(t, {
      store: etcd.open(),
      home,
      name: 'node-1',
      publicIp: address(1),
      timing,
    });
    const { cursor } = await etcd.open().list(never);
    etcd.members[0]?.kill('SIGKILL');
    const away = await phaseWhen(holder, 'away');
    assert.ok(away.deadlineMs > systemClock.now() + 80_000_000);
    await etcd.members[0]?.restart();
    await phaseWhen(holder, 'held');
    assert.equal((await etcd.open().list(never)).cursor, cursor);
  },
);

test(
  'etcd away for longer than the TTL: nothing is claimed after the deadline, then the same subnet',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const home = scratch(t);
    const short = { renewSeconds: 1, ttlSeconds: 4 };
    const { holder } = await startAgent(t, {
      store: etcd.open(),
      home,
      name: 'node-1',
      publicIp: address(1),
      timing: short,
    });
    const { key } = holder.lease;
    etcd.members[0]?.kill('SIGSTOP');
    await phaseWhen(holder, 'away');
    await pause(Math.max(holder.status.deadlineMs - systemClock.now(), 0) + 2000);
    assert.ok(holder.status.deadlineMs <= systemClock.now());
    etcd.members[0]?.kill('SIGCONT');
    while (holder.status.deadlineMs <= systemClock.now()) await statusWhen(holder, () => true);
    assert.equal(holder.lease.key, key);
  },
);

test('a node that starts while etcd is away comes up with its lease and its peers', limit, async (t) => {
  const etcd = await startEtcd(t);
  const home = scratch(t);
  const node = { home, name: 'node-1', publicIp: address(1), timing };
  const a = await startAgent(t, { ...node, store: etcd.open() });
  const b = await startAgent(t, { store: etcd.open(), home, name: 'node-2', publicIp: address(2), timing });
  await peersWhen(a.holder, ({ leases }) => leases.size === 1);
  await pause(500);
  await a.stop();
  etcd.members[0]?.kill('SIGKILL');
  const again = await startAgent(t, { ...node, store: etcd.open() });
  assert.equal(again.holder.lease.key, a.holder.lease.key);
  assert.equal(again.holder.status.phase, 'away');
  assert.ok(again.holder.status.deadlineMs > systemClock.now());
  const { leases, complete } = again.holder.peers;
  assert.deepEqual([[...leases.keys()], complete], [[b.holder.lease.key], false]);
  await etcd.members[0]?.restart();
  await phaseWhen(again.holder, 'held');
  await peersWhen(again.holder, (peers) => peers.complete && peers.leases.size === 1);
});

test('a member that is killed or falls silent is left for another', limit, async (t) => {
  const etcd = await startEtcd(t, { members: 3 });
  const home = scratch(t);
  const agents = await Promise.all(
    [1, 2, 3].map((n) =>
      startAgent(t, { store: etcd.open(), home, name: `node-${n}`, publicIp: address(n), timing }),
    ),
  );
  for (const [gone, n] of [
    ['SIGSTOP', 4],
    ['SIGKILL', 5],
  ] as const) {
    const victim = etcd.members[n - 4];
    victim?.kill(gone);
    const joining = await startAgent(t, {
      store: etcd.open(),
      home,
      name: `node-${n}`,
      publicIp: address(n),
      timing,
    });
    for (const { holder } of agents) {
      await peersWhen(holder, ({ leases }) => leases.has(joining.holder.lease.key));
      await phaseWhen(holder, 'held');
    }
    agents.push(joining);
    victim?.kill('SIGCONT');
    await victim?.restart();
  }
});
