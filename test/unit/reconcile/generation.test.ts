import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Lease } from '../../../agent/lease/lease.ts';
import { DesiredCache } from '../../../agent/overlay/desired-cache.ts';
import {
  type FamilyState,
  familyStates,
  hasUnderlay,
  type OverlayState,
} from '../../../agent/overlay/state.ts';
import { generationOf, isUnchanged } from '../../../agent/reconcile/generation.ts';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';

const lease = (n: number, host = n): Lease => ({
  key: `10.244.${n}.0-24`,
  subnets: [cidr(`10.244.${n}.0/24`)],
  publicIps: [ip(`192.168.188.${100 + host}`)],
  backend: { type: 'vxlan', vni: 1, vtepMac: `02:00:00:00:00:0${n}` },
});

const mapOf = (...leases: Lease[]) => new Map(leases.map((one) => [one.key, one]));

interface KernelEntry {
  answering?: Set<string>;
  narrow?: Map<string, number>;
}

function stateOf(leases: ReadonlyMap<string, Lease>, { answering, narrow }: KernelEntry = {}): OverlayState {
  const [state] = familyStates({
    networks: [cidr('10.244.0.0/16')],
    lease: lease(1),
    vtepMacs: { ipv4: '02:00:00:00:00:01', ipv6: '02:00:00:00:00:01' },
    peers: { leases, complete: true, problems: [] },
    underlayOf: () => ({
      index: 2,
      name: 'eth0',
      address: { address: ip('192.168.188.101'), length: 24 },
      mtuBytes: 1500,
    }),
    backend: { type: 'auto', vni: 1, port: 8472, mtuBytes: undefined },
    answeringDirect: () => answering ?? new Set(),
    pathMtuBytes: () => narrow ?? new Map(),
    unleased: undefined,
  }) as [FamilyState];
  assert.ok(hasUnderlay(state));
  return state;
}

const links = { deviceIndex: 9, underlayIndex: 2 };

describe('generation of an input', () => {
  it('same object: same number; equal object: another number', () => {
    const [one, two] = [{ a: 1 }, { a: 1 }];
    assert.equal(generationOf(one), generationOf(one));
    assert.notEqual(generationOf(one), generationOf(two));
    assert.deepEqual([isUnchanged(one, one), isUnchanged(one, two)], [true, false]);
    assert.deepEqual([isUnchanged(undefined, undefined), isUnchanged(undefined, one)], [true, false]);
  });

  it('same leases: the same list of peers, which cannot be changed in place', () => {
    const leases = mapOf(lease(2), lease(3));
    const { peers } = stateOf(leases);
    assert.ok(isUnchanged(peers, stateOf(leases).peers));
    assert.throws(() => (peers as unknown[]).pop(), TypeError);
  });

  it('one lease changed: another list, the other peers the same objects', () => {
    const [two, three] = [lease(2), lease(3)];
    const before = stateOf(mapOf(two, three)).peers;
    const after = stateOf(mapOf(two, lease(3, 33))).peers;
    assert.equal(isUnchanged(before, after), false);
    assert.deepEqual(
      after.map((peer, i) => isUnchanged(peer, before[i])),
      [true, false],
    );
  });
});

describe('desired entries, made again only after a change', () => {
  const changes: Record<string, (leases: Map<string, Lease>, found: Required<KernelEntry>) => void> = {
    'a peer answers on the direct way': (_, { answering }) => answering.add('10.244.2.0-24'),
    'a path becomes narrow': (_, { narrow }) => narrow.set('10.244.2.0-24', 1400),
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`${what}, in the set that probes change in place: noticed`, async () => {
      const leases = mapOf(lease(2), lease(3));
      const found = { answering: new Set<string>(), narrow: new Map<string, number>() };
      const wanted = new DesiredCache();
      const before = await wanted.of(stateOf(leases, found), links);
      assert.equal(await wanted.of(stateOf(leases, found), links), before);
      change(leases, found);
      assert.notEqual(await wanted.of(stateOf(leases, found), links), before);
    });
  }

  it('one peer of two changed: its entries are other objects, the rest is not made again', async () => {
    const two = lease(2);
    const wanted = new DesiredCache();
    const before = await wanted.of(stateOf(mapOf(two, lease(3))), links);
    const after = await wanted.of(stateOf(mapOf(two, lease(3, 33))), links);
    const kept = [...after.entries].filter(([id, entry]) => before.entries.get(id) === entry);
    assert.ok(kept.length > 0 && kept.length < after.entries.size, `${kept.length} of ${after.entries.size}`);
  });
});
