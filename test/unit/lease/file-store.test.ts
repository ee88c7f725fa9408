import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootId, systemClock } from '../../../agent/lease/clock.ts';
import { LeaseError } from '../../../agent/lease/errors.ts';
import { FileStore } from '../../../agent/lease/file/file-store.ts';
import { ip } from '../../../inet/ip.ts';
import { attributes, peersWhen, scratch, startAgent } from './builders.ts';

const limit = { timeout: 20_000 };

test('agents that share a folder get one subnet each and learn of each other', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const open = () => new FileStore({ path, clock: systemClock, boot: bootId() });
  const agents = await Promise.all(
    [1, 2, 3].map((n) =>
      startAgent(t, { store: open(), home, name: `node-${n}`, publicIp: `192.168.188.10${n}` }),
    ),
  );
  const keys = agents.map(({ holder }) => holder.lease.key).sort();
  assert.deepEqual(keys, ['10.244.1.0-24', '10.244.2.0-24', '10.244.3.0-24']);
  for (const { holder } of agents) {
    const peers = await peersWhen(holder, ({ leases, complete }) => complete && leases.size === 2);
    assert.ok(!peers.leases.has(holder.lease.key));
    assert.deepEqual(peers.problems, []);
  }
  const first = agents.find(({ holder }) => holder.lease.key === '10.244.1.0-24');
  assert.deepEqual(JSON.parse(readFileSync(join(path, 'subnets/10.244.1.0-24'), 'utf8')), {
    PublicIP: first?.holder.lease.publicIps.map((a) => `192.168.188.${a.value & 0xffn}`)[0],
    PublicIPv6: null,
    BackendType: 'vxlan',
    BackendData: { VNI: 1, VtepMAC: 'c6:d2:32:6f:8f:44' },
  });
  await Promise.all(agents.map((agent) => agent.stop()));
});

test('an agent that is started again has the same subnet and writes nothing', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = new FileStore({ path, clock: systemClock, boot: bootId() });
  const node = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
  const first = await startAgent(t, node);
  await first.stop();
  const before = await store.list(new AbortController().signal);
  const again = await startAgent(t, node);
  assert.equal(again.holder.lease.key, first.holder.lease.key);
  assert.equal((await store.list(new AbortController().signal)).cursor, before.cursor);
  await again.stop();
});

test('attributes are changed in place, and peers see it', limit, async (t) => {
  const home = scratch(t);
  const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
  const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
  await a.holder.updateAttributes(
    attributes('192.168.188.111', '0e:00:00:00:00:01'),
    new AbortController().signal,
  );
  const peers = await peersWhen(
    b.holder,
    ({ leases }) => leases.get(a.holder.lease.key)?.backend.vtepMac === '0e:00:00:00:00:01',
  );
  assert.deepEqual(peers.leases.get(a.holder.lease.key)?.publicIps, [ip('192.168.188.111')]);
  assert.equal(peers.leases.get(a.holder.lease.key)?.nodeName, 'node-1');
  await Promise.all([a.stop(), b.stop()]);
});

test('a subnet that is given back is gone at once and goes to nobody else for a while', limit, async (t) => {
  const home = scratch(t);
  const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
  const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
  await peersWhen(b.holder, ({ leases }) => leases.size === 1);
  await a.holder.release(new AbortController().signal);
  assert.equal(a.holder.status.phase, 'left');
  await peersWhen(b.holder, ({ leases, complete }) => complete && leases.size === 0);
  const c = await startAgent(t, { store, home, name: 'node-3', publicIp: '192.168.188.103' });
  assert.equal(c.holder.lease.key, '10.244.3.0-24');
  await Promise.all([a, b, c].map((agent) => agent.stop()));
});

test('garbage beside and in place of records is reported and removes nobody', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = new FileStore({ path, clock: systemClock, boot: bootId() });
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
  const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
  await peersWhen(b.holder, ({ leases }) => leases.size === 1);
  writeFileSync(join(path, 'subnets/not-a-subnet'), 'x');
  writeFileSync(join(path, 'subnets/10.244.9.0-24'), '{"PublicIP": 7}');
  writeFileSync(join(path, 'subnets/10.99.0.0-24'), '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}');
  writeFileSync(join(path, 'subnets/10.244.8.0-24'), '{"PublicIP":"127.0.0.1","BackendType":"host-gw"}');
  const { leases, problems } = await peersWhen(b.holder, (peers) => peers.problems.length === 4);
  assert.deepEqual([...leases.keys()], [a.holder.lease.key]);
  assert.deepEqual(problems.map(({ key }) => key).sort(), [
    'subnets/10.244.8.0-24',
    'subnets/10.244.9.0-24',
    'subnets/10.99.0.0-24',
    'subnets/not-a-subnet',
  ]);
  await Promise.all([a.stop(), b.stop()]);
});

test('an own record that somebody deletes is put back under compare', limit, async (t) => {
  const home = scratch(t);
  const path = join(home, 'store');
  const store = new FileStore({ path, clock: systemClock, boot: bootId() });
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
  const phases: string[] = [];
  const back = new Promise<void>((resolve) => {
    a.holder.watchStatus(({ phase }) => {
      phases.push(phase);
      if (phase === 'held') resolve();
    }, new AbortController().signal);
  });
  rmSync(join(path, 'subnets', a.holder.lease.key));
  await back;
  assert.deepEqual(phases, ['lost', 'held']);
  assert.deepEqual(readdirSync(join(path, 'subnets')), [a.holder.lease.key]);
  await a.stop();
});

test('a second agent with the id, or the address, of one that is alive is refused', limit, async (t) => {
  const home = scratch(t);
  const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
  const timing = { renewSeconds: 3 };
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', timing });
  const clone = { store, home: join(home, 'clone'), name: 'node-1', publicIp: '192.168.188.102', timing };
  const twin = { store, home, name: 'node-2', publicIp: '192.168.188.101', timing };
  await Promise.all([
    assert.rejects(
      startAgent(t, clone),
      (error) => error instanceof LeaseError && error.code === 'node-id-taken',
    ),
    assert.rejects(
      startAgent(t, twin),
      (error) => error instanceof LeaseError && error.code === 'public-ip-taken',
    ),
  ]);
  assert.equal(a.holder.status.phase, 'held');
  await a.stop();
});

test('a node made again, with a new id and the old address, gets its subnet back', limit, async (t) => {
  const home = scratch(t);
  const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
  const timing = { renewSeconds: 0.3 };
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', timing });
  await a.stop();
  const b = await startAgent(t, { store, home, name: 'node-1b', publicIp: '192.168.188.101', timing });
  assert.equal(b.holder.lease.key, a.holder.lease.key);
  await b.stop();
});

test('a full network is refused with the remedy', limit, async (t) => {
  const home = scratch(t);
  const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
  const networks = [{ cidr: { family: 'ipv4' as const, base: 0x0a010000n, length: 23 }, subnetLength: 24 }];
  const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', networks });
  await assert.rejects(
    startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102', networks }),
    /10\.1\.0\.0\/23 has no free \/24 left: .*weftctl node forget/,
  );
  await a.stop();
});

test(
  'a node whose configuration contradicts the cluster is refused with the difference',
  limit,
  async (t) => {
    const home = scratch(t);
    const store = new FileStore({ path: join(home, 'store'), clock: systemClock, boot: bootId() });
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    await assert.rejects(
      startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102', backend: { vni: 2 } }),
      /backend vni: 2 here, 1 in the cluster/,
    );
    await a.stop();
  },
);
