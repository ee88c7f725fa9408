import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { driftBy } from '../../../agent/overlay/drift.ts';
import { parseCidr } from '../../../inet/cidr.ts';
import { RTM_DELADDR, RTM_NEWADDR } from '../../../kernel/netlink/rtnl.ts';

const scopes = { universe: 0, link: 253, host: 254 };

/** An address's notification, as far as it is looked at (struct ifaddrmsg, linux/if_addr.h). */
function notification(change: { type: number; scope: keyof typeof scopes; index: number }) {
  const body = Buffer.alloc(8);
  body.writeUInt8(10, 0);
  body.writeUInt8(64, 1);
  body.writeUInt8(scopes[change.scope], 3);
  body.writeInt32LE(change.index, 4);
  return { type: change.type, flags: 0, seq: 0, portId: 0, body };
}

const [underlay, device, pod] = [2, 5, 77];
const network = parseCidr('10.244.0.0/16');
assert.ok(network);
const watched = {
  network,
  deviceName: 'weft.1',
  deviceIndex: device,
  underlayName: 'eth0',
  underlayIndex: underlay,
  probesDirect: false,
};

describe('an address that comes or goes', () => {
  const cases = [
    {
      where: 'on the underlay',
      index: underlay,
      scope: 'link',
      type: RTM_DELADDR,
      reason: 'underlay address',
    },
    { where: 'on the device', index: device, scope: 'universe', type: RTM_DELADDR, reason: 'device address' },
    { where: 'elsewhere, global', index: pod, scope: 'universe', type: RTM_NEWADDR, reason: 'address' },
    {
      where: "on a pod's interface, link-local",
      index: pod,
      scope: 'link',
      type: RTM_NEWADDR,
      reason: undefined,
    },
    {
      where: "from a pod's interface, link-local",
      index: pod,
      scope: 'link',
      type: RTM_DELADDR,
      reason: undefined,
    },
    { where: 'elsewhere, of the host alone', index: 1, scope: 'host', type: RTM_NEWADDR, reason: undefined },
  ] as const;
  for (const { where, reason, ...change } of cases) {
    it(`${where} is ${reason === undefined ? 'nothing to look into' : `a reason: ${reason}`}`, () => {
      assert.equal(driftBy(notification(change), watched)?.reason, reason);
    });
  }
});
