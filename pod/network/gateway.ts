/** By which address of its own this host is reached from a pod. */
import { networkInterfaces } from 'node:os';
import { containsIp, networkOf } from '../../inet/cidr.ts';
import { parseIp } from '../../inet/ip.ts';

/** The host's address in the network that the pod's is in; empty if it has none there. */
export function gatewayOf(address: string): string {
  const ip = parseIp(address);
  if (!ip) return '';
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const near = own.find(({ address: text, cidr }) => {
    const [, length] = cidr?.split('/') ?? [];
    const host = parseIp(text);
    return host?.family === ip.family && containsIp(networkOf(host, Number(length)), ip);
  });
  return near?.address ?? '';
}
