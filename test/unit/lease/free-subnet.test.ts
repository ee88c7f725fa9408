import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultRange } from '../../../agent/lease/flannel/cluster-config.ts';
import { freeSubnet } from '../../../agent/lease/protocol/free-subnet.ts';
import { SubnetIndex } from '../../../agent/lease/view/subnet-index.ts';
import { cidr, formatCidr } from '../../../inet/cidr.ts';

const range = defaultRange({ cidr: cidr('10.244.0.0/20'), subnetLength: 24 });

const taking = (...subnets: readonly string[]): SubnetIndex => {
  const taken = new SubnetIndex();
  for (const subnet of subnets) taken.add(subnet, [cidr(subnet)]);
  return taken;
};

const every = Array.from({ length: 16 }, (_, n) => `10.244.${n}.0/24`);

for (const [what, taken, start, free] of [
  ['nothing is taken', [], 0n, '10.244.1.0/24'],
  ['the start says where to begin', [], 3n, '10.244.4.0/24'],
  ['a start beyond the end goes round', [], 15n, '10.244.1.0/24'],
  ['the first is taken', ['10.244.1.0/24'], 0n, '10.244.2.0/24'],
  ['something wider is in the way', ['10.244.0.0/21'], 0n, '10.244.8.0/24'],
  ['something narrower is in the way', ['10.244.1.64/28'], 0n, '10.244.2.0/24'],
  ['only what is before the start is free', every.slice(3), 5n, '10.244.1.0/24'],
  ['all is taken', every, 7n, undefined],
  ['all is taken by one', ['10.0.0.0/8'], 7n, undefined],
] as const) {
  test(`a free subnet where ${what}`, () => {
    const found = freeSubnet(range, taking(...taken), start);
    assert.equal(found && formatCidr(found), free);
  });
}

test('a range of more subnets than can be counted through has a free one at once', () => {
  const wide = defaultRange({ cidr: cidr('fd00::/16'), subnetLength: 120 });
  const found = freeSubnet(wide, taking('fd00::/24'), 1n);
  assert.equal(found && formatCidr(found), 'fd00:100::/120');
});
