import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LeaseError } from '../../../agent/lease/errors.ts';
import type { LeaseStore } from '../../../agent/lease/store.ts';
import { formatIp, ip } from '../../../inet/ip.ts';
import { attributes, peersWhen, scratch, startAgent, subnetValues, tamper } from './builders.ts';

const limit = { timeout: 60_000 };

/** What holds of leases whichever store they are in. `open` gives another client of one fresh store per test. */
export function leaseBehaviours(
  fresh: (t: { after(done: () => void): void }) => Promise<() => LeaseStore>,
): void {
  test('agents that share a store get one subnet each and learn of each other', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const agents = await Promise.all(
      [1, 2, 3].map((n) =>
        startAgent(t, { store: open(), home, name: `node-${n}`, publicIp: `192.168.188.10${n}` }),
      ),
    );
    const keys = new Set(agents.map(({ holder }) => holder.lease.key));
    assert.equal(keys.size, 3);
    for (const key of keys) assert.match(key, /^10\.244\.([1-9]\d{0,2})\.0-24$/);
    for (const { holder } of agents) {
      const peers = await peersWhen(holder, ({ leases, complete }) => complete && leases.size === 2);
      assert.ok(!peers.leases.has(holder.lease.key));
      assert.deepEqual(peers.problems, []);
    }
    const expected = agents.map(({ holder: { lease } }) => [
      lease.key,
      {
        PublicIP: lease.publicIps.map(formatIp).join(),
        PublicIPv6: null,
        BackendType: 'vxlan',
        BackendData: { VNI: 1, VtepMAC: 'c6:d2:32:6f:8f:44' },
      },
    ]);
    assert.deepEqual(await subnetValues(open()), Object.fromEntries(expected));
    await Promise.all(agents.map((agent) => agent.stop()));
  });

  test('an agent that is started again has the same subnet and writes nothing', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
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
    const open = await fresh(t);
    const store = open();
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

  test(
    'a subnet that is given back is gone at once and goes to nobody else for a while',
    limit,
    async (t) => {
      const home = scratch(t);
      const open = await fresh(t);
      const store = open();
      const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
      const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
      await peersWhen(b.holder, ({ leases }) => leases.size === 1);
      await a.holder.release(new AbortController().signal);
      assert.equal(a.holder.status.phase, 'left');
      await peersWhen(b.holder, ({ leases, complete }) => complete && leases.size === 0);
      const c = await startAgent(t, { store, home, name: 'node-3', publicIp: '192.168.188.103' });
      assert.notEqual(c.holder.lease.key, a.holder.lease.key);
      await Promise.all([a, b, c].map((agent) => agent.stop()));
    },
  );

  test('garbage beside and in place of records is reported and removes nobody', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
    await peersWhen(b.holder, ({ leases }) => leases.size === 1);
    await tamper(store, 'subnets/not-a-subnet', 'x');
    await tamper(store, 'subnets/10.244.9.0-24', '{"PublicIP": 7}');
    await tamper(store, 'subnets/10.99.0.0-24', '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}');
    await tamper(store, 'subnets/10.244.8.0-24', '{"PublicIP":"127.0.0.1","BackendType":"host-gw"}');
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
    const open = await fresh(t);
    const store = open();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const phases: string[] = [];
    const back = new Promise<void>((resolve) => {
      a.holder.watchStatus(({ phase }) => {
        phases.push(phase);
        if (phase === 'held') resolve();
      }, new AbortController().signal);
    });
    await tamper(store, `subnets/${a.holder.lease.key}`, undefined);
    await back;
    assert.deepEqual(phases, ['lost', 'held']);
    assert.deepEqual(Object.keys(await subnetValues(store)), [a.holder.lease.key]);
    await a.stop();
  });

  test('a second agent with the id, or the address, of one that is alive is refused', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
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
    const open = await fresh(t);
    const store = open();
    const timing = { renewSeconds: 1 };
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', timing });
    await a.stop();
    const b = await startAgent(t, { store, home, name: 'node-1b', publicIp: '192.168.188.101', timing });
    assert.equal(b.holder.lease.key, a.holder.lease.key);
    await b.stop();
  });

  test('a full network is refused with the remedy', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
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
      const open = await fresh(t);
      const store = open();
      const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
      await assert.rejects(
        startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102', backend: { vni: 2 } }),
        /backend vni: 2 here, 1 in the cluster/,
      );
      await a.stop();
    },
  );
}
