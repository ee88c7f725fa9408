import assert from 'node:assert/strict';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { follow } from '../../agent/lease/protocol/follow.ts';
import type { LeaseStore } from '../../agent/lease/store/store.ts';
import { ClusterView } from '../../agent/lease/view/view.ts';
import { systemClock } from '../../clock/clock.ts';
import { tamper } from '../unit/lease/builders.ts';
import { startProxy } from './proxy.ts';
import { type Cleanup, startEtcd } from './server.ts';

const limit = { timeout: 60_000 };
const never = new AbortController().signal;

/** A view kept up to date; `when` resolves once it satisfies the condition. */
function followed(t: Cleanup, store: LeaseStore) {
  const view = new ClusterView();
  const stop = new AbortController();
  let check = (): void => {};
  let lists = 0;
  const { done } = follow({
    store,
    clock: systemClock,
    random: Math.random,
    relistSeconds: 3600,
    onItem: (item) => {
      if (item.type === 'list') lists++;
      view.apply(item);
      check();
    },
    onTrouble: () => {},
    signal: stop.signal,
  });
  t.after(async () => {
    stop.abort();
    await done;
  });
  return {
    view,
    get lists() {
      return lists;
    },
    when: (condition: () => boolean) =>
      new Promise<void>((resolve) => {
        check = () => condition() && resolve();
        check();
      }),
  };
}

const proxied = (port: number) => ({ endpoints: [{ secure: false, host: '127.0.0.1', port }] });

/** One revision each: a server sends at most 1000 revisions in a batch, with the newest revision in its header. */
async function putMany(store: LeaseStore, count: number): Promise<void> {
  for (let n = 0; n < count; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => tamper(store, `weft/claims/${n + i}`, 'x')));
  }
}

test('a watch cut amid thousands of revisions behind resumes without losing one', limit, async (t) => {
  const etcd = await startEtcd(t);
  const direct = etcd.open();
  const proxy = await startProxy(t, etcd.members[0]?.port ?? 0);
  const following = followed(t, etcd.open(proxied(proxy.port)));
  const { view, when } = following;
  await when(() => view.complete);
  proxy.cut();
  await putMany(direct, 3000);
  // Cut again after the first batch has begun to arrive.
  proxy.cutAfter(90_000);
  proxy.mend();
  await when(() => view.records.size === 3000);
  assert.equal(following.lists, 1);
});

test('history compacted away while cut off is made up for by a list', limit, async (t) => {
  const etcd = await startEtcd(t);
  const direct = etcd.open();
  const proxy = await startProxy(t, etcd.members[0]?.port ?? 0);
  await tamper(direct, 'subnets/10.244.1.0-24', 'before');
  await tamper(direct, 'subnets/10.244.2.0-24', 'gone');
  const { view, when } = followed(t, etcd.open(proxied(proxy.port)));
  await when(() => view.complete);
  proxy.cut();
  await tamper(direct, 'subnets/10.244.1.0-24', 'after');
  await tamper(direct, 'subnets/10.244.2.0-24', undefined);
  await tamper(direct, 'subnets/10.244.3.0-24', 'new');
  const { cursor } = await direct.list(never);
  etcd.ctl('compact', cursor);
  proxy.mend();
  await when(() => view.records.has('subnets/10.244.3.0-24'));
  const values = [...view.records.values()].map(({ key, value }) => [key, value]);
  assert.deepEqual(Object.fromEntries(values), {
    'subnets/10.244.1.0-24': 'after',
    'subnets/10.244.3.0-24': 'new',
  });
});

test('a connection on which nothing passes any more is left within seconds', limit, async (t) => {
  const etcd = await startEtcd(t);
  const direct = etcd.open();
  const proxy = await startProxy(t, etcd.members[0]?.port ?? 0);
  const { view, when } = followed(t, etcd.open(proxied(proxy.port)));
  await when(() => view.complete);
  proxy.stall();
  await tamper(direct, 'subnets/10.244.1.0-24', 'x');
  await when(() => view.records.size === 1);
});

test(
  'an etcd that is restored from a backup, and so has gone back in time, is listed anew',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const store = etcd.open();
    await tamper(store, 'subnets/10.244.1.0-24', 'kept');
    const [member] = etcd.members;
    assert.ok(member);
    await member.end();
    const data = join(etcd.folder, member.name);
    cpSync(data, `${data}.backup`, { recursive: true });
    await member.restart();
    await putMany(store, 100);
    await tamper(store, 'subnets/10.244.1.0-24', 'lost');
    const { view, when } = followed(t, etcd.open());
    await when(() => view.records.size === 101);
    await member.end();
    rmSync(data, { recursive: true });
    renameSync(`${data}.backup`, data);
    await member.restart();
    await when(() => view.records.size === 1);
    assert.equal(view.records.get('subnets/10.244.1.0-24')?.value, 'kept');
    // And from there on it is watched again.
    await tamper(store, 'subnets/10.244.2.0-24', 'new');
    await when(() => view.records.has('subnets/10.244.2.0-24'));
  },
);
