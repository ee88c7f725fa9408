import assert from 'node:assert/strict';
import { cpSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLeaseFile } from '../../../agent/lease/disk/lease-file.ts';
import { renounceSaved } from '../../../agent/lease/disk/renounce.ts';
import { readRun } from '../../../agent/lease/disk/run.ts';
import { readSaved } from '../../../agent/lease/disk/saved.ts';
import { LeaseError } from '../../../agent/lease/errors.ts';
import { defaultRange } from '../../../agent/lease/flannel/cluster-config.ts';
import { encodeValue } from '../../../agent/lease/flannel/value.ts';
import {
  forgetNode,
  initCluster,
  leaveCluster,
  listNodes,
} from '../../../agent/lease/operator/administer.ts';
import type { LeaseStore } from '../../../agent/lease/store/store.ts';
import { sleep, systemClock } from '../../../clock/clock.ts';
import { cidr, formatCidr } from '../../../inet/cidr.ts';
import { formatIp, ip } from '../../../inet/ip.ts';
import { readBootId } from '../../../kernel/boot.ts';
import {
  attributes,
  foldersOf,
  network,
  peersWhen,
  scratch,
  startAgent,
  statusWhen,
  subnetValues,
  tamper,
} from './builders.ts';

const never = new AbortController().signal;
const limit = { timeout: 60_000 };

const leave = (store: LeaseStore, home: string): Promise<string> =>
  leaveCluster({
    store,
    nodeId: 'id-of-node-1',
    run: readRun(foldersOf(home, 'node-1').runDir, readBootId()),
    renounce: () => renounceSaved(foldersOf(home, 'node-1')),
    signal: never,
  });

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
        BackendData: { VNI: 1, VtepMAC: lease.backend.vtepMac },
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

  test("node with an extension: peers see it, and flannel's record stays as it is", limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
    const given = (localIp: string) => ({
      ...attributes('192.168.188.101'),
      extension: { localIps: [ip(localIp)], version: '0.2.0' },
    });
    const node = { store, home, name: 'node-1', publicIp: '192.168.188.101', attributes: given('10.0.0.5') };
    const a = await startAgent(t, node);
    const b = await startAgent(t, { store: open(), home, name: 'node-2', publicIp: '192.168.188.102' });
    const seen = (localIp: string) =>
      peersWhen(b.holder, ({ leases }) => {
        const [found] = leases.get(a.holder.lease.key)?.extension?.localIps ?? [];
        return found !== undefined && formatIp(found) === localIp;
      });
    await seen('10.0.0.5');
    assert.deepEqual(await subnetValues(store), {
      [a.holder.lease.key]: JSON.parse(encodeValue(attributes('192.168.188.101'))),
      [b.holder.lease.key]: JSON.parse(encodeValue(attributes('192.168.188.102'))),
    });
    await a.holder.updateAttributes(given('10.0.0.6'), never);
    await seen('10.0.0.6');
    await a.stop();
    const { cursor } = await store.list(never);
    const again = await startAgent(t, { ...node, attributes: given('10.0.0.6') });
    await peersWhen(again.holder, ({ complete }) => complete);
    assert.equal((await store.list(never)).cursor, cursor);
    await Promise.all([again.stop(), b.stop()]);
  });

  test(
    'node upgraded from 0.1.0: its extension is added, and what a newer version wrote is kept',
    limit,
    async (t) => {
      const home = scratch(t);
      const store = (await fresh(t))();
      const node = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
      const old = await startAgent(t, node);
      await old.stop();
      const key = 'weft/nodes/id-of-node-1';
      const recordNow = async () => {
        const [record] = await store.read([key], never);
        assert.ok(record);
        return record;
      };
      const before = await recordNow();
      const value = JSON.stringify({ ...JSON.parse(before.value), extension: { format: 1, zone: 'z' } });
      await store.commit(
        { compare: [], write: [{ type: 'put', key, value, session: before.session }] },
        never,
      );
      const extension = { localIps: [], version: '0.2.0' };
      const again = await startAgent(t, { ...node, attributes: { ...attributes(node.publicIp), extension } });
      await again.holder.updateAttributes({ ...attributes(node.publicIp), extension }, never);
      const after = await recordNow();
      assert.equal(after.session, before.session);
      assert.deepEqual(JSON.parse(after.value), {
        ...JSON.parse(before.value),
        extension: { format: 1, version: '0.2.0', zone: 'z' },
      });
      await again.stop();
    },
  );

  test(
    'extension of a peer becomes garbage or harmful: what it said before stays, and it is reported',
    limit,
    async (t) => {
      const home = scratch(t);
      const store = (await fresh(t))();
      const extension = { localIps: [ip('10.0.0.5')] };
      const a = await startAgent(t, {
        ...{ store, home, name: 'node-1', publicIp: '192.168.188.101' },
        attributes: { ...attributes('192.168.188.101'), extension },
      });
      const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
      await a.stop();
      const key = 'weft/nodes/id-of-node-1';
      for (const [bad, reason] of [
        [{ format: 1, localIPs: ['x'] }, /holds something that is not an address; the extension is ignored/],
        [
          { format: 1, localIPs: ['10.244.3.4'] },
          /10\.244\.3\.4 is inside the pod network; the extension is ignored/,
        ],
        [
          { format: 1, localIPs: ['224.0.0.1'] },
          /224\.0\.0\.1 is a multicast address; the extension is ignored/,
        ],
      ] as const) {
        const [record] = await store.read([key], never);
        assert.ok(record);
        const value = JSON.stringify({ ...JSON.parse(record.value), extension: bad });
        const write = [{ type: 'put' as const, key, value, session: record.session }];
        await store.commit({ compare: [], write }, never);
        const { leases, problems } = await peersWhen(b.holder, (peers) =>
          peers.problems.some((problem) => reason.test(problem.reason)),
        );
        assert.deepEqual(
          problems.map((problem) => problem.key),
          [key],
        );
        assert.deepEqual(leases.get(a.holder.lease.key)?.extension, extension);
      }
      await b.stop();
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

  test('of two leases that overlap the one that was there stays, and both are named', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
    await peersWhen(b.holder, ({ leases }) => leases.size === 1);
    const half = (lease: { key: string }): string => lease.key.replace('.0-24', '.128-25');
    for (const { lease } of [a.holder, b.holder]) {
      await tamper(store, `subnets/${half(lease)}`, '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}');
    }
    const { leases, problems } = await peersWhen(b.holder, (peers) => peers.problems.length === 2);
    assert.deepEqual([...leases.keys()], [a.holder.lease.key]);
    const reasons = new Map(problems.map(({ key, reason }) => [key, reason]));
    const told = (lease: { key: string }): string => reasons.get(`subnets/${half(lease)}`) ?? '';
    assert.match(told(a.holder.lease), /is a \/25, and the cluster's nodes hold a \/24: it is left out/);
    assert.match(told(b.holder.lease), /overlaps our own .*release one of the two/);
    assert.deepEqual(
      [a, b].map(({ holder }) => holder.status.phase),
      ['held', 'held'],
    );
  });

  test("a cluster's configuration that is no JSON is named; who runs goes on", limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const store = open();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const b = await startAgent(t, { store, home, name: 'node-2', publicIp: '192.168.188.102' });
    await peersWhen(a.holder, ({ leases }) => leases.size === 1);
    await tamper(store, 'config', 'Network: 10.244.0.0/16');
    await assert.rejects(
      startAgent(t, { store, home, name: 'node-3', publicIp: '192.168.188.103' }),
      (error) =>
        error instanceof LeaseError &&
        error.code === 'cluster-config' &&
        error.message.includes(`${store.description} config: it is not a JSON object`) &&
        error.message.includes('weftctl cluster init'),
    );
    for (const { holder } of [a, b]) {
      assert.equal(holder.status.phase, 'held');
      assert.equal(holder.peers.leases.size, 1);
    }
  });

  test('two peers with one public IP are both told of, and neither is dropped', limit, async (t) => {
    const home = scratch(t);
    const store = (await fresh(t))();
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    const value = '{"PublicIP":"192.168.188.9","BackendType":"host-gw"}';
    await tamper(store, 'subnets/10.244.8.0-24', value);
    await tamper(store, 'subnets/10.244.9.0-24', value);
    const { leases, problems } = await peersWhen(a.holder, (peers) => peers.problems.length === 1);
    assert.deepEqual([...leases.keys()].sort(), ['10.244.8.0-24', '10.244.9.0-24']);
    assert.match(
      problems[0]?.reason ?? '',
      /public IP 192\.168\.188\.9 is also 10\.244\.[89]\.0-24's: correct one/,
    );
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
    // A virtual machine copied with its disk: all of stateDir, nothing of what /run had.
    assert.ok(existsSync(join(home, 'node-1/state/lease.json')), 'who has a lease has it on disk');
    cpSync(join(home, 'node-1/state'), join(home, 'clone/node-1/state'), { recursive: true });
    const twin = { store, home, name: 'node-2', publicIp: '192.168.188.101', timing };
    await Promise.all([
      assert.rejects(
        startAgent(t, clone),
        (error) =>
          error instanceof LeaseError &&
          error.code === 'node-id-taken' &&
          /cloned with its state directory\? Remove/.test(error.message),
      ),
      assert.rejects(
        startAgent(t, twin),
        (error) => error instanceof LeaseError && error.code === 'public-ip-taken',
      ),
    ]);
    // Nor does the clone give away what is not its own.
    await assert.rejects(
      leave(store, join(home, 'clone')),
      (error) => error instanceof LeaseError && error.code === 'node-id-taken',
    );
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

  test('a node that is told to leave claims nothing until its agent is started again', limit, async (t) => {
    const home = scratch(t);
    const store = (await fresh(t))();
    const node = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
    const a = await startAgent(t, node);
    const left = statusWhen(a.holder, ({ phase }) => phase === 'left');
    assert.equal(await leave(store, home), a.holder.lease.key);
    assert.equal((await left).deadlineMs, 0);
    assert.deepEqual(await subnetValues(store), {});
    await a.stop();
    const again = await startAgent(t, node);
    assert.equal(again.holder.lease.key, a.holder.lease.key);
  });

  test(
    'a node that is told to leave while its agent does not run has no deadline on its disk',
    limit,
    async (t) => {
      const home = scratch(t);
      const store = (await fresh(t))();
      const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
      await a.stop();
      const onDisk = () => {
        const boot = readBootId();
        const { runDir, stateDir } = foldersOf(home, 'node-1');
        const published = readLeaseFile(runDir, boot);
        const saved = readSaved({ stateDir, boot, clock: systemClock });
        assert.ok(published.kind === 'read' && saved.kind === 'read');
        return [published, saved.saved].map(({ deadlineMs }) => deadlineMs > systemClock.now());
      };
      assert.deepEqual(onDisk(), [true, true]);
      await leave(store, home);
      assert.deepEqual(onDisk(), [false, false]);
    },
  );

  test('a node that is gone is forgotten by name, one that is heard only by force', limit, async (t) => {
    const home = scratch(t);
    const store = (await fresh(t))();
    const timing = { renewSeconds: 1 };
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101', timing });
    const forget = (force: boolean) => forgetNode({ store, named: 'node-1', force, signal: never });
    await assert.rejects(
      forget(false),
      (error) => error instanceof LeaseError && error.code === 'node-alive',
    );
    await assert.rejects(
      forgetNode({ store, named: 'node-9', force: true, signal: never }),
      /there are node-1/,
    );
    const back = statusWhen(a.holder, ({ phase }) => phase === 'lost').then(() =>
      statusWhen(a.holder, ({ phase }) => phase === 'held'),
    );
    assert.equal((await forget(true)).key, a.holder.lease.key);
    await back;
    assert.deepEqual(Object.keys(await subnetValues(store)), [a.holder.lease.key]);
    await a.stop();
    const silent = async () =>
      (await listNodes(store, never)).every((entry) => (entry.silentSeconds ?? 0) >= 3);
    while (!(await silent())) await sleep(systemClock, 100, never);
    await forget(false);
    assert.deepEqual(await listNodes(store, never), []);
  });

  test(
    "the cluster's configuration is written once, and replaced only when that is said",
    limit,
    async (t) => {
      const store = (await fresh(t))();
      const config = (vni: number) => ({
        networks: [defaultRange(network)],
        backend: { type: 'vxlan', vni },
      });
      const init = (vni: number, replace: boolean) =>
        initCluster({ store, config: config(vni), replace, signal: never });
      assert.equal(await init(1, false), 'written');
      assert.equal(await init(1, false), 'unchanged');
      await assert.rejects(init(2, false), /add --replace/);
      assert.equal(await init(2, true), 'written');
    },
  );

  test(
    'SubnetMin raised above a node that holds a subnet: it keeps it, and says so until it leaves',
    limit,
    async (t) => {
      const home = scratch(t);
      const store = (await fresh(t))();
      const node = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
      const raise = (min: string) =>
        tamper(store, 'config', JSON.stringify({ Network: '10.244.0.0/16', SubnetLen: 24, SubnetMin: min }));
      await raise('10.244.1.0');
      const first = await startAgent(t, node);
      const { key } = first.holder.lease;
      await first.stop();
      await raise('10.244.255.0');
      const again = await startAgent(t, node);
      assert.equal(again.holder.lease.key, key);
      const { problems } = await peersWhen(
        again.holder,
        (peers) => peers.complete && peers.problems.length > 0,
      );
      assert.deepEqual(
        problems.map((problem) => problem.key),
        [`subnets/${key}`],
      );
      assert.match(
        problems[0]?.reason ?? '',
        /keeps its subnet although .* \/24 from 10\.244\.255\.0 to 10\.244\.255\.0 .* run weftctl node leave/,
      );
      await again.stop();
      // Its records may have ended meanwhile: the pods are still there.
      for (const record of (await store.list(never)).records) {
        if (record.key !== 'config') await tamper(store, record.key, undefined);
      }
      const third = await startAgent(t, node);
      assert.equal(third.holder.lease.key, key);
      await third.holder.release(never);
      await third.stop();
      const moved = await startAgent(t, node);
      assert.equal(moved.holder.lease.key, '10.244.255.0-24');
      await moved.stop();
    },
  );

  test('nodes with both families share no subnet of either', limit, async (t) => {
    const home = scratch(t);
    const open = await fresh(t);
    const networks = [network, { cidr: cidr('fd00:10:244::/56'), subnetLength: 64 }];
    const agents = await Promise.all(
      [1, 2, 3].map((n) =>
        startAgent(t, { store: open(), home, name: `node-${n}`, publicIp: `192.168.188.10${n}`, networks }),
      ),
    );
    const subnets = agents.flatMap(({ holder }) => holder.lease.subnets.map(formatCidr));
    assert.equal(new Set(subnets).size, 6);
    for (const { holder } of agents) {
      assert.match(holder.lease.key, /^10\.244\.\d+\.0-24&fd00:10:244:[0-9a-f]+::-64$/);
      const { problems } = await peersWhen(holder, ({ leases }) => leases.size === 2);
      assert.deepEqual(problems, []);
    }
  });

  test('a reservation is honoured by the node whose address it names, and stays one', limit, async (t) => {
    const home = scratch(t);
    const store = (await fresh(t))();
    const reserved =
      '{"PublicIP":"192.168.188.101","BackendType":"vxlan","BackendData":{"VtepMAC":"0e:00:00:00:00:09"}}';
    await tamper(store, 'subnets/10.244.77.0-24', reserved);
    const a = await startAgent(t, { store, home, name: 'node-1', publicIp: '192.168.188.101' });
    assert.equal(a.holder.lease.key, '10.244.77.0-24');
    const session = async () =>
      (await store.read(['subnets/10.244.77.0-24'], never)).map((record) => record.session);
    assert.deepEqual(await session(), [undefined]);
    await a.holder.release(never);
    assert.deepEqual(await session(), [undefined]);
  });

  test(
    "flannel's record on this host is taken over, another flannel's with our address is not",
    limit,
    async (t) => {
      const home = scratch(t);
      const store = (await fresh(t))();
      const { session } = await store.grant(86_400, never);
      const value = encodeValue(attributes('192.168.188.101', '0e:00:00:00:00:09'));
      const write = [{ type: 'put' as const, key: 'subnets/10.244.30.0-24', value, session }];
      await store.commit({ compare: [], write }, never);
      const node = { store, home, name: 'node-1', publicIp: '192.168.188.101' };
      await assert.rejects(startAgent(t, node), /flannel's lease 10\.244\.30\.0-24.*weftctl node forget/);
      const flannelSubnetFile = join(home, 'subnet.env');
      writeFileSync(flannelSubnetFile, 'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.30.1/24\n');
      const a = await startAgent(t, { ...node, flannelSubnetFile });
      assert.equal(a.holder.lease.key, '10.244.30.0-24');
    },
  );
}
