/** What has to be done to the VXLAN device, whatever is there under its name. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DesiredDevice, planDevice } from '../../../agent/overlay/device.ts';
import { cidr, parseInterfaceAddress } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import type { LinkAddress } from '../../../kernel/address.ts';
import type { Link } from '../../../kernel/link.ts';

const desired: DesiredDevice = {
  name: 'weft.1',
  vni: 1,
  port: 8472,
  mac: '02:00:00:00:00:01',
  mtuBytes: 1450,
  underlayName: 'eth0',
  underlayIndex: 2,
  underlayAddress: ip('192.168.188.101'),
  subnet: cidr('10.244.1.0/24'),
  network: cidr('10.244.0.0/16'),
};

const vxlan: NonNullable<Link['vxlan']> = {
  vni: 1,
  port: 8472,
  parent: 2,
  local: ip('192.168.188.101'),
  learning: false,
  gbp: false,
};

const link = (change: Partial<Link> = {}): Link => ({
  index: 9,
  name: 'weft.1',
  kind: 'vxlan',
  mac: desired.mac,
  mtuBytes: 1450,
  up: true,
  loopback: false,
  carrier: true,
  promiscuous: false,
  master: undefined,
  parent: 2,
  linkNetnsid: undefined,
  alias: undefined,
  group: 0,
  vxlan,
  port: undefined,
  ...change,
});

const address = (text: string, index = 9): LinkAddress => {
  const parsed = parseInterfaceAddress(text);
  assert.ok(parsed);
  return {
    ...parsed,
    index,
    scope: 0,
    tentative: false,
    duplicate: false,
    deprecated: false,
    permanent: true,
    temporary: false,
    secondary: false,
  };
};

const own = address('10.244.1.0/32');

const cases: Record<string, { there: Link | undefined; addresses?: LinkAddress[]; steps: string[] }> = {
  'none is there': { there: undefined, steps: ['create: it is missing'] },
  'it is right': { there: link(), steps: [] },
  'it has another VNI': { there: link({ vxlan: { ...vxlan, vni: 2 } }), steps: ['recreate: its VNI is 2'] },
  'it has another port': {
    there: link({ vxlan: { ...vxlan, port: 4789 } }),
    steps: ['recreate: its UDP port is 4789'],
  },
  'it is on another interface': {
    there: link({ vxlan: { ...vxlan, parent: 3 } }),
    steps: ['recreate: its underlay is eth3'],
  },
  'it sends from another address': {
    there: link({ vxlan: { ...vxlan, local: ip('192.0.2.1') } }),
    steps: ['recreate: its local address is 192.0.2.1'],
  },
  'it sends from whatever address': {
    there: link({ vxlan: { ...vxlan, local: undefined } }),
    steps: ['recreate: its local address is unset'],
  },
  'it learns': { there: link({ vxlan: { ...vxlan, learning: true } }), steps: ['recreate: it learns'] },
  'it is no VXLAN device': {
    there: link({ kind: 'bridge', vxlan: undefined }),
    steps: ['recreate: weft.1 is a bridge link, not a vxlan device'],
  },
  'MAC, MTU and state are wrong': {
    there: link({ mac: '02:00:00:00:00:99', mtuBytes: 1280, up: false }),
    steps: ['adjust: its MAC was 02:00:00:00:00:99, its MTU was 1280, it was down'],
  },
  'its address is missing': { there: link(), addresses: [], steps: ['address: its address was missing'] },
  'its address has another length': {
    there: link(),
    addresses: [address('10.244.1.0/24')],
    steps: ['address: it had the foreign address 10.244.1.0', 'address: its address was missing'],
  },
  'it has addresses of others': {
    there: link(),
    // Not ours to remove: what lies elsewhere, or on another link.
    addresses: [own, address('10.244.7.1/32'), address('192.0.2.7/32'), address('10.244.8.1/32', 3)],
    steps: ['address: it had the foreign address 10.244.7.1'],
  },
};

describe('the VXLAN device, where', () => {
  for (const [what, { there, addresses = [own], steps }] of Object.entries(cases)) {
    it(`${what}: ${steps.length ? steps.join('; ') : 'nothing'}`, () => {
      const plan = planDevice(desired, there, addresses, (index) => `eth${index}`);
      assert.deepEqual(
        plan.map(({ kind, why }) => `${kind}: ${why}`),
        steps,
      );
    });
  }
});
