/** plugin/ipam's order: an address just freed is the last to be handed out again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr } from '../../inet/cidr.ts';
import { formatIp, type Ip, ip } from '../../inet/ip.ts';
import { FreeOrder, QUEUE_BOUND } from '../../plugin/ipam/order.ts';
import type { RangeSet } from '../../plugin/protocol/network.ts';
import { wholeSubnet } from '../../plugin/protocol/ranges.ts';

const set = (...subnets: string[]): RangeSet => subnets.map((text) => wholeSubnet(cidr(text)));
const released = (text: string) => ({ address: ip(text), marker: `m.${text}` });
const order = (taken: string[] = [], freed: string[] = []) =>
  new FreeOrder({ taken: taken.map(ip), released: freed.map(released) });

/** Takes until nothing is left. */
function takeAll(free: FreeOrder, ranges: RangeSet): string[] {
  const all: string[] = [];
  for (let next = free.next(ranges); next; next = free.next(ranges)) {
    free.take(next);
    all.push(formatIp(next));
  }
  return all;
}

describe('the order in which addresses are handed out', () => {
  const cases: { says: string; ranges: RangeSet; taken?: string[]; freed?: string[]; gives: string[] }[] = [
    {
      says: 'hosts from the second on: the first is the gateway’s, the last is broadcast',
      ranges: set('10.1.0.0/29'),
      gives: ['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6'],
    },
    {
      says: 'IPv6 has no broadcast',
      ranges: set('fd00::/125'),
      gives: ['fd00::2', 'fd00::3', 'fd00::4', 'fd00::5', 'fd00::6', 'fd00::7'],
    },
    {
      says: 'one range after the other',
      ranges: set('10.1.0.0/30', '10.2.0.0/30'),
      gives: ['10.1.0.2', '10.2.0.2'],
    },
    {
      says: 'what is taken is left out',
      ranges: set('10.1.0.0/29'),
      taken: ['10.1.0.2', '10.1.0.4'],
      gives: ['10.1.0.3', '10.1.0.5', '10.1.0.6'],
    },
    {
      says: 'never used before used once, and that oldest first',
      ranges: set('10.1.0.0/29'),
      freed: ['10.1.0.5', '10.1.0.2', '10.1.0.3'],
      gives: ['10.1.0.4', '10.1.0.6', '10.1.0.5', '10.1.0.2', '10.1.0.3'],
    },
    {
      says: 'released addresses of other ranges are not this set’s',
      ranges: set('10.1.0.0/30'),
      freed: ['10.9.0.2', '10.1.0.2'],
      gives: ['10.1.0.2'],
    },
    {
      says: 'a released address that has become the gateway is not given',
      ranges: [{ ...wholeSubnet(cidr('10.1.0.0/29')), gateway: ip('10.1.0.3') }],
      freed: ['10.1.0.3'],
      gives: ['10.1.0.1', '10.1.0.2', '10.1.0.4', '10.1.0.5', '10.1.0.6'],
    },
  ];
  for (const { says, ranges, taken, freed, gives } of cases) {
    it(says, () => assert.deepEqual(takeAll(order(taken, freed), ranges), gives));
  }

  it('puts an address just freed behind all others', () => {
    const ranges = set('10.1.0.0/29');
    const free = order();
    const handedOut: string[] = [];
    let last: Ip | undefined;
    for (let i = 0; i < 20; i++) {
      const next = free.next(ranges);
      assert.ok(next);
      free.take(next);
      if (last) free.release({ address: last, marker: 'm' });
      last = next;
      handedOut.push(formatIp(next));
    }
    for (let i = 5; i < handedOut.length; i++) assert.equal(handedOut[i], handedOut[i - 5]);
  });

  it('keeps the memory of a large network bounded: a long queue’s head is as good as never used', () => {
    const ranges = set('fd00::/64');
    const free = order();
    for (let i = 0; i < QUEUE_BOUND * 3; i++) {
      const next = free.next(ranges);
      assert.ok(next);
      free.take(next);
      free.release({ address: next, marker: 'm' });
    }
    assert.deepEqual(free.next(ranges), ip('fd00::2'));
  });

  it('says which marker is void when an address is taken again', () => {
    const free = order([], ['10.1.0.3']);
    assert.equal(free.take(ip('10.1.0.3')), 'm.10.1.0.3');
    assert.equal(free.take(ip('10.1.0.3')), undefined);
  });
});
