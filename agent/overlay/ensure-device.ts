/** The VXLAN device of one family brought to what device.ts says it has to be. */
import * as address from '../../kernel/address.ts';
import { failedWith, type KernelError } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as newLink from '../../kernel/new-link.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import { AgentError } from '../errors.ts';
import { type DesiredDevice, type DeviceStep, planDevice } from './device.ts';

/**
 * Brings the device to its desired state. Returns its index and what was done, in words.
 *
 * @throws AgentError where the name or the VNI belongs to somebody else, or the kernel has no VXLAN.
 */
export function ensureDevice(rtnl: Rtnl, desired: DesiredDevice): { index: number; done: string[] } {
  const done: string[] = [];
  // A device that was just made needs an address in the next round; more than three rounds is a fight.
  for (let round = 0; round < 3; round++) {
    const actual = link.linkByName(rtnl, desired.name);
    const addresses = actual ? address.addresses(rtnl, { index: actual.index }) : [];
    const steps = planDevice(desired, actual, addresses);
    if (actual && steps.length === 0) {
      const before = ensureSysctl(`net/ipv6/conf/${desired.name}/accept_ra`, '0');
      if (before !== undefined) done.push(`${desired.name}: accept_ra: ${before} -> 0`);
      return { index: actual.index, done };
    }
    for (const step of steps) {
      carryOut(rtnl, desired, step);
      done.push(`${desired.name}: ${step.kind}: ${step.why}`);
    }
  }
  throw new AgentError(
    'device',
    `${desired.name} does not stay as weft sets it (${done.join('; ')}): another program changes it; find it with "ip monitor link address"`,
  );
}

function carryOut(rtnl: Rtnl, desired: DesiredDevice, step: DeviceStep): void {
  switch (step.kind) {
    case 'address':
      rtnl.execute([step.request]);
      break;
    case 'adjust':
      rtnl.execute([noLinkLocal(step.index), link.set(step.change)]);
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
  const actual = link.linkByIndex(rtnl, step.index);
  if (actual && !actual.vxlan) {
    throw new AgentError('device', `${step.why}: rename or remove it (ip link del ${desired.name})`);
  }
  rtnl.execute([link.remove({ index: step.index })]);
}

/** Made down, so that nothing is sent from it before its settings stand. */
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
  if (refusal) throw explain(rtnl, desired, refusal);
  rtnl.execute([noLinkLocal(index), link.set({ index, up: true })]);
}

/**
 * No IPv6 link-local address: nothing needs one, and with it the kernel would solicit routers and report
 * multicast groups into the tunnel. A message of its own, for it has to stand before the device comes up.
 */
const noLinkLocal = (index: number): NetlinkRequest =>
  link.set({ index, ipv6AddrGenMode: IN6_ADDR_GEN_MODE_NONE });

const IN6_ADDR_GEN_MODE_NONE = 1;

function explain(rtnl: Rtnl, desired: DesiredDevice, refusal: KernelError): Error {
  if (failedWith(refusal, 'EOPNOTSUPP')) {
    return new AgentError(
      'device',
      `${refusal.message}: the kernel has no VXLAN; load it with "modprobe vxlan"`,
    );
  }
  if (!failedWith(refusal, 'EEXIST')) return refusal;
  const holder = link
    .links(rtnl)
    .find((l) => l.vxlan && l.vxlan.vni === desired.vni && l.vxlan.port === desired.port);
  if (!holder) return refusal;
  const flannel = holder.name.startsWith('flannel') ? ' (flannel runs, or ran, on this host)' : '';
  return new AgentError(
    'device',
    `VNI ${desired.vni} on UDP ${desired.port} belongs to ${holder.name}${flannel}: remove it (ip link del ${holder.name}) or set backend.vni or backend.port`,
  );
}
