/** Addresses of this node's subnets: how many are left for pods. */
import { containsIp, formatCidr, sizeOf } from '../../../inet/cidr.ts';
import { NetworkDirectory } from '../../../plugin/ipam/directory.ts';
import { conflist } from '../../conflist.ts';
import { type Check, type Finding, ok, unknown } from '../finding.ts';
import { subnetsOf } from '../host.ts';

/** Network, gateway and broadcast address are not for pods. */
const RESERVED = 3n;
const LITTLE = 10n;

export const addresses: Check = {
  name: 'addresses',
  title: 'Addresses for pods',
  look: (host) => {
    const subnets = subnetsOf(host);
    if (subnets.length === 0) return unknown(host.unsaved);
    const taken = new NetworkDirectory(host.config.runDir, conflist.name).taken();
    return subnets.map((subnet): Finding => {
      const used = BigInt(taken.filter((address) => containsIp(subnet, address)).length);
      const all = sizeOf(subnet) - RESERVED;
      const free = all > used ? all - used : 0n;
      const text = `${formatCidr(subnet)}: ${free} of ${all} free`;
      if (free * LITTLE > all) return ok(text);
      return {
        severity: free > 0n ? 'warning' : 'failed',
        subject: formatCidr(subnet),
        found:
          free > 0n
            ? `${free} of ${all} addresses are free`
            : `all ${all} addresses are taken: no pod can be made`,
        wanted: 'addresses for more pods',
        remedy:
          'drain pods to other nodes; if fewer pods run than addresses are taken: weftctl doctor --fix --yes',
      };
    });
  },
};
