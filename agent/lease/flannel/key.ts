/**
 * flannel's keys under `<prefix>/subnets/` (flannel pkg/subnet/subnet.go, MakeSubnetKey and ParseSubnetKey):
 * `10.244.1.0-24`; both families `10.12.13.0-24&fd00:12:13::-56`; IPv6 alone `0.0.0.0-0&fd00:12:13::-56`.
 */
import { type Cidr, formatCidr, parseCidr } from '../../../inet/cidr.ts';

export const subnetsFolder = 'subnets/';

const noIpv4 = '0.0.0.0-0';
const pattern = /^(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$/;

/** The key's last part; `subnets` has one per family. */
export function subnetKey(subnets: readonly Cidr[]): string {
  const part = (subnet: Cidr): string => formatCidr(subnet).replace('/', '-');
  const v4 = subnets.find((subnet) => subnet.family === 'ipv4');
  const v6 = subnets.find((subnet) => subnet.family === 'ipv6');
  return [v4 ? part(v4) : noIpv4, ...(v6 ? [part(v6)] : [])].join('&');
}

/** The subnets a key stands for, IPv4 first; undefined if it is not a subnet's key. */
export function parseSubnetKey(key: string): readonly Cidr[] | undefined {
  const match = pattern.exec(key);
  if (!match) return undefined;
  const [, v4, length4, v6, length6] = match;
  const texts = [
    ...(`${v4}-${length4}` === noIpv4 && v6 !== undefined ? [] : [`${v4}/${length4}`]),
    ...(v6 === undefined ? [] : [`${v6}/${length6}`]),
  ];
  const subnets: Cidr[] = [];
  for (const text of texts) {
    const subnet = parseCidr(text);
    if (!subnet) return undefined;
    subnets.push(subnet);
  }
  return subnets;
}
