/** Giving a subnet back while the answers get lost: from before the store is asked, nothing is claimed any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subnetsFolder } from '../../agent/lease/flannel/key.ts';
import { leaveCluster } from '../../agent/lease/operator/administer.ts';
import { cidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { SimStore } from './network.ts';
import { Server } from './server.ts';
import { SimNode } from './sim-node.ts';
import { World } from './world.ts';

const timing = { ttlSeconds: 60, renewSeconds: 5, graceSeconds: 2, cooldownSeconds: 6, relistSeconds: 40 };
const never = new AbortController().signal;

/** A node that holds a subnet, and whose way to the store breaks at the moment its record is deleted. */
async function cutOffOnceDeleted() {
  const world = new World(1);
  const faults: unknown[] = [];
  const server: Server = new Server(world, ({ key, after }) => {
    if (key.startsWith(subnetsFolder) && !after) first.partitioned = true;
  });
  const make = (n: number): SimNode =>
    new SimNode({
      world,
      server,
      id: `n${n}`,
      attributes: { publicIps: [ip(`192.168.0.${n}`)], backend: { type: 'vxlan', vni: 1 } },
      networks: [{ cidr: cidr('10.244.0.0/23'), subnetLength: 24 }],
      timing,
      trouble: () => 0,
      onChange: () => undefined,
      onFault: (_, error) => faults.push(error),
      onPeers: () => undefined,
    });
  const first = make(1);
  first.start();
  await world.runUntil(1000);
  assert.notEqual(first.claimed, undefined);
  return { world, server, first, make, faults };
}

async function releaseUnanswered() {
  const { first, make, ...rest } = await cutOffOnceDeleted();
  const released = first.keeper?.release(never);
  await rest.world.runUntil(2000);
  assert.equal(first.partitioned, true);
  return { ...rest, first, second: make(2), released };
}

test('a node whose answer got lost claims nothing', async () => {
  const { first } = await releaseUnanswered();
  assert.equal(first.claimed, undefined);
});

test('nor does its agent when it is started again, with what it had saved', async () => {
  const { world, first } = await releaseUnanswered();
  first.crash();
  first.start();
  await world.runUntil(30_000);
  assert.equal(first.keeper?.status.phase, 'away');
  assert.equal(first.claimed, undefined);
});

test('the subnet goes to another meanwhile, and the release is over once the store answers', async () => {
  const { world, first, second, released, faults } = await releaseUnanswered();
  await world.runUntil(10_000);
  second.start();
  await world.runUntil(20_000);
  assert.equal(second.keeper?.lease.key, first.keeper?.lease.key);
  assert.equal(first.claimed, undefined);
  first.partitioned = false;
  await world.runUntil(60_000);
  await released;
  assert.equal(first.keeper?.status.phase, 'left');
  assert.notEqual(second.claimed, undefined);
  assert.deepEqual(faults, []);
});

test('a node that is told to leave claims nothing, whatever its agent hears late, or never', async () => {
  const { world, server, first, faults } = await cutOffOnceDeleted();
  // A renewal is answered, and its agent gets to read the answer only once the subnet is given back.
  const keepAlive = server.keepAlive.bind(server);
  server.keepAlive = (session, sentMs) => {
    first.pause();
    return keepAlive(session, sentMs);
  };
  await world.runUntil(8000);
  const host = { deliver: (run: () => void) => run(), partitioned: () => false };
  const store = new SimStore({ world, server, host, writer: 'operator', trouble: () => 0, never });
  const { id, run } = first;
  const left = leaveCluster({ store, nodeId: id, run, renounce: () => first.renounce(), signal: never });
  await world.runUntil(9000);
  await left;
  assert.equal(first.partitioned, true);
  first.resume();
  await world.runUntil(10_000);
  assert.equal(first.claimed, undefined);
  assert.equal(first.keeper?.status.phase, 'left');
  assert.deepEqual(faults, []);
});

test('nor by what its agent writes when it hears of a peer', async () => {
  const { world, server, first, faults } = await cutOffOnceDeleted();
  first.renounce();
  const value = '{"PublicIP":"192.168.0.9","BackendType":"host-gw"}';
  const write = [{ type: 'put', key: `${subnetsFolder}10.244.0.0-24`, value, session: undefined }] as const;
  server.commit({ compare: [], write }, undefined);
  await world.runUntil(2000);
  assert.equal(first.keeper?.peers.leases.size, 1);
  assert.equal(first.claimed, undefined);
  assert.equal(first.keeper?.status.phase, 'left');
  assert.deepEqual(faults, []);
});
