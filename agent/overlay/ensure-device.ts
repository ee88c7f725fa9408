/** Makes the VXLAN device of one family the desired one. */
import * as address from '../../kernel/address.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as newLink from '../../kernel/new-link.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import { AgentError } from '../errors.ts';
import { type DesiredDevice, type DeviceStep, planDevice } from './device.ts';
import { explained, explainRefusal } from './device-refusal.ts';

/**
 * Returns its index and what was done, one line each.
 *
 * @throws AgentError `device` where the name, the VNI or the port is in use, or the kernel has no VXLAN; KernelError
 */
export function ensureDevice(rtnl: Rtnl, desired: DesiredDevice): { index: number; done: string[] } {
  const done: string[] = [];
  // A new device gets its address in the next round; after more than three rounds another program changes it.
  for (let round = 0; round < 3; round++) {
    const existing = link.linkByName(rtnl, desired.name);
    const addresses = existing ? address.addresses(rtnl, { index: existing.index }) : [];
    const steps = planDevice(desired, existing, addresses, (index) => link.linkByIndex(rtnl, index)?.name);
    if (existing && steps.length === 0) {
      const before = ensureSysctl(`net/ipv6/conf/${desired.name}/accept_ra`, '0');
      if (before !== undefined) done.push(`${desired.name}: accept_ra: ${before} -> 0`);
      return { index: existing.index, done };
    }
    for (const step of steps) {
      carryOut(rtnl, desired, step);
      done.push(`${desired.name}: ${step.kind}: ${step.why}`);
    }
  }
  throw new AgentError(
    'device',
    `another program keeps changing ${desired.name} (${done.join('; ')}): find it with "ip monitor link address"`,
  );
}

function carryOut(rtnl: Rtnl, desired: DesiredDevice, step: DeviceStep): void {
  switch (step.kind) {
    case 'address':
      explained(rtnl, desired, () => rtnl.execute([step.request]));
      break;
    case 'adjust':
      explained(rtnl, desired, () => rtnl.execute([noLinkLocal(step.index), link.set(step.change)]));
      break;
    case 'recreate':
      removeOwn(rtnl, desired, step);
      create(rtnl, desired);
      break;
    case 'create':
      create(rtnl, desired);
  }
}

function removeOwn(rtnl: Rtnl, desired: DesiredDevice, step: { index: number; why: string }): void {
  const existing = link.linkByIndex(rtnl, step.index);
  if (existing && !existing.vxlan) {
    throw new AgentError('device', `${step.why}: rename or remove it (ip link del ${desired.name})`);
  }
  rtnl.execute([link.remove({ index: step.index })]);
}

/** Created down, so that it sends nothing before its settings are applied. */
function create(rtnl: Rtnl, desired: DesiredDevice): void {
  const index = newLink.chooseIndex();
  const refusal = rtnl.attempt([
    newLink.vxlan({
      name: desired.name,
      index,
      mac: desired.mac,
      mtuBytes: desired.mtuBytes,
      vxlan: {
        vni: desired.vni,
        port: desired.port,
        parent: desired.underlayIndex,
        local: desired.underlayAddress,
        learning: false,
        gbp: false,
      },
    }),
  ])[0];
  if (refusal) throw explainRefusal(rtnl, desired, refusal);
  // Hardening switches IPv6 off for links to come (net.ipv6.conf.default.disable_ipv6), and this one is weft's own.
  if (desired.subnet.family === 'ipv6') ensureSysctl(`net/ipv6/conf/${desired.name}/disable_ipv6`, '0');
  // The UDP port is bound when the device comes up.
  explained(rtnl, desired, () => rtnl.execute([noLinkLocal(index), link.set({ index, up: true })]));
}

/**
 * No IPv6 link-local address: nothing needs one, and with it the kernel would solicit routers and report
 * multicast groups into the tunnel. A message of its own, for it has to stand before the device comes up.
 */
const noLinkLocal = (index: number): NetlinkRequest =>
  link.set({ index, ipv6AddrGenMode: IN6_ADDR_GEN_MODE_NONE });

const IN6_ADDR_GEN_MODE_NONE = 1;
