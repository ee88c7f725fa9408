/** Many peers in the file store of a lab, as other nodes would have written them: nobody is behind them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { subnetKey, subnetsFolder } from '../agent/lease/flannel/key.ts';
import { encodeValue } from '../agent/lease/flannel/value.ts';
import { type Cidr, cidr } from '../inet/cidr.ts';
import { type Ip, ip } from '../inet/ip.ts';
import { labFolder } from '../lab/names.ts';

/** Holds the subnets of some five thousand peers, and of the lab's own nodes beside them. */
export const crowdedNetwork = '10.64.0.0/10';

export interface CrowdMember {
  readonly subnet: Cidr;
  readonly endpoint: Ip;
  readonly vtepMac: string;
}

/** The first so many. */
export function crowd(count: number): CrowdMember[] {
  return Array.from({ length: count }, (_, i) => {
    const [high, low] = [i >> 8, i & 255];
    const octet = (value: number): string => value.toString(16).padStart(2, '0');
    return {
      subnet: cidr(`10.${100 + high}.${low}.0/24`),
      endpoint: ip(`172.31.${high}.${low}`),
      vtepMac: `0a:00:00:00:${octet(high)}:${octet(low)}`,
    };
  });
}

/** Their leases, before an agent has been started. */
export function addCrowd(lab: string, count: number): void {
  const folder = join(labFolder(lab), 'store', subnetsFolder);
  mkdirSync(folder, { recursive: true });
  for (const { subnet, endpoint, vtepMac } of crowd(count)) {
    const backend = { type: 'vxlan', vni: 1, vtepMac };
    writeFileSync(join(folder, subnetKey([subnet])), encodeValue({ publicIps: [endpoint], backend }));
  }
}
