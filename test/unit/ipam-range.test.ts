/** Arithmetic of address ranges. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { formatRangeSet, isUnusable, rangeOf } from '../../plugin/ipam/range.ts';
import type { AddressRange } from '../../plugin/protocol/network.ts';

const range = (subnet: string, [start, end, gateway]: [string, string, string]): AddressRange => ({
  subnet: cidr(subnet),
  start: ip(start),
  end: ip(end),
  gateway: ip(gateway),
});
// As wide as the subnet, so that only the rules of isUnusable decide.
const v4 = range('10.5.0.0/24', ['10.5.0.0', '10.5.0.255', '10.5.0.1']);
const v6 = range('fd00:5::/120', ['fd00:5::', 'fd00:5::ff', 'fd00:5::1']);

describe('range set', () => {
  it('as text: ranges separated by commas', () => {
    assert.equal(formatRangeSet([v4, v6]), '10.5.0.0-10.5.0.255,fd00:5::-fd00:5::ff');
  });

  for (const [address, expected] of [
    ['10.5.0.9', v4],
    ['10.4.255.255', undefined],
    ['10.5.1.0', undefined],
    ['fd00:5::9', v6],
    ['fd00:4::9', undefined],
    // The value of 10.5.0.9 as an IPv6 address.
    ['::a05:9', undefined],
  ] as const) {
    it(`${address}: ${expected ? 'in a range' : 'in no range'}`, () => {
      assert.equal(rangeOf([v4, v6], ip(address)), expected);
    });
  }

  for (const [what, address, unusable] of [
    ['network address, IPv4', '10.5.0.0', true],
    ['broadcast address, IPv4', '10.5.0.255', true],
    ['gateway', '10.5.0.1', true],
    ['any other, IPv4', '10.5.0.254', false],
    ['subnet-router anycast address, IPv6', 'fd00:5::', true],
    ['last address, IPv6', 'fd00:5::ff', false],
    ['outside every range', '10.6.0.9', true],
  ] as const) {
    it(`${what}: ${unusable ? 'unusable' : 'usable'}`, () => {
      assert.equal(isUnusable([v4, v6], ip(address)), unusable);
    });
  }
});
