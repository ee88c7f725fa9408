/** Which program caused a notification, in words. */
import { readFileSync } from 'node:fs';

/** rtm_protocol of daemons that are met on routers (linux/rtnetlink.h, iproute2's rt_protos). */
const protocols: ReadonlyMap<number, string> = new Map([
  [2, 'the kernel'],
  [3, 'a route of protocol boot (set by hand?)'],
  [4, 'a static route'],
  [9, 'router advertisements'],
  [11, 'zebra'],
  [12, 'bird'],
  [16, 'a DHCP client'],
  [18, 'keepalived'],
  [42, 'babel'],
  [186, 'BGP'],
  [188, 'OSPF'],
]);

export const describeProtocol = (protocol: number): string =>
  protocols.get(protocol) ?? `a program whose routes have protocol ${protocol}`;

/**
 * The program behind a netlink port: its number is the process's for the first socket of a process. Undefined
 * where that process is gone, or was never one.
 */
export function describePort(portId: number): string | undefined {
  if (portId <= 0 || portId > 0x3f_ffff || portId === process.pid) return undefined;
  try {
    return `"${readFileSync(`/proc/${portId}/comm`, 'utf8').trim()}" (process ${portId})`;
  } catch {
    return undefined;
  }
}
