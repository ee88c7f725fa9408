/** Why the kernel refused a VXLAN device, in words that name the cause and the remedy. */
import { KernelError } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { udpPortHolder } from '../../kernel/port-holder.ts';
import { AgentError } from '../errors.ts';
import type { DesiredDevice } from './device.ts';

/** The error to throw instead of the kernel's. */
export const explainRefusal = (rtnl: Rtnl, desired: DesiredDevice, refusal: KernelError): AgentError =>
  new AgentError('device', textOf(rtnl, desired, refusal), { cause: refusal });

function textOf(rtnl: Rtnl, desired: DesiredDevice, refusal: KernelError): string {
  const { name, port, vni, underlayName, mtuBytes } = desired;
  switch (refusal.code) {
    case 'EOPNOTSUPP':
      return `failed to create ${name}: the kernel has no VXLAN; load it with "modprobe vxlan"`;
    case 'EADDRINUSE': {
      const holder = otherVxlan(rtnl, desired) ?? udpPortHolder(port) ?? 'another program';
      return (
        `failed to bind UDP port ${port} for ${name}: in use by ${holder}; stop or remove that, or ` +
        'set backend.port to another port on every node'
      );
    }
    case 'EEXIST': {
      const holder = otherVxlan(rtnl, desired);
      if (holder === undefined) break;
      return (
        `failed to create ${name}: VNI ${vni} on UDP port ${port} is in use by ${holder}; remove ` +
        'that device, or set backend.vni or backend.port on every node'
      );
    }
    case 'ENODEV':
      return (
        `failed to create ${name}: its underlay ${underlayName} is not there (removed a moment ` +
        'ago?); put it back, or name another one under underlay'
      );
    case 'EADDRNOTAVAIL':
      return (
        `failed to bring up ${name}: ${underlayName} has not its address any more; put it back, or ` +
        'name another one under underlay'
      );
    case 'EINVAL':
      return `failed to set up ${name} with MTU ${mtuBytes} on ${underlayName}: ${whyOf(refusal)}`;
  }
  return `failed to set up ${name}: ${whyOf(refusal)}`;
}

const whyOf = ({ code, detail }: KernelError): string => `${code}${detail ? ` (${detail})` : ''}`;

/** Another VXLAN device on that port, with the command that removes it. */
function otherVxlan(rtnl: Rtnl, { name, vni, port }: DesiredDevice): string | undefined {
  const others = link.links(rtnl).filter((other) => other.vxlan?.port === port && other.name !== name);
  const other = others.find(({ vxlan }) => vxlan?.vni === vni) ?? others[0];
  if (!other) return undefined;
  const flannel = other.name.startsWith('flannel') ? 'flannel runs, or ran, on this host: ' : '';
  return `${other.name} (${flannel}ip link del ${other.name})`;
}

/** Runs it; what the kernel refuses is explained. */
export function explained(rtnl: Rtnl, desired: DesiredDevice, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw error instanceof KernelError ? explainRefusal(rtnl, desired, error) : error;
  }
}
