/** What flannel on this host had, by its subnet file (flannel pkg/subnet/subnet.go, WriteSubnetFile). */
import { readFileSync } from 'node:fs';
import { type Cidr, networkOf, parseInterfaceAddress } from '../../../inet/cidr.ts';

export const flannelSubnetFile = '/run/flannel/subnet.env';

/** The node's subnets, IPv4 first; empty where there is no such file. */
export function readFlannelSubnets(path: string): readonly Cidr[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  return ['FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET'].flatMap((name) => {
    const value = new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]?.trim();
    const parsed = value === undefined ? undefined : parseInterfaceAddress(value);
    return parsed ? [networkOf(parsed.address, parsed.length)] : [];
  });
}
