/** Records of the store that contradict each other: two nodes with one address, or with subnets that overlap. */
import { formatCidr, overlaps } from '../../../inet/cidr.ts';
import { formatIp, sameIp } from '../../../inet/ip.ts';
import { quoted } from '../../../problem/printable.ts';
import { type Check, type Finding, orOk, unknown } from '../finding.ts';
import type { HeldSubnet } from '../store-look.ts';

export const leases: Check = {
  name: 'leases',
  title: 'Leases of all nodes',
  look: async (host) => {
    const { subnets, unreadable, absent } = await host.store();
    if (unreadable !== undefined || absent) return unknown('not known without the store');
    if (host.config.store.type === 'kubernetes')
      return unknown('the Nodes have them: "kubectl get nodes -o wide"');
    const conflicts = [...pairs(subnets)].flatMap(([one, other]) => conflictOf(one, other));
    return orOk(conflicts, `${subnets.length} subnets, none overlaps; each address belongs to one node`);
  },
};

function* pairs(subnets: readonly HeldSubnet[]): Generator<[HeldSubnet, HeldSubnet]> {
  for (const [i, one] of subnets.entries()) for (const other of subnets.slice(i + 1)) yield [one, other];
}

/** Only records with a holder, or flannel's, which have none that is known, can contradict. */
function conflictOf(one: HeldSubnet, other: HeldSubnet): Finding[] {
  const findings: Finding[] = [];
  const both = `${nameOf(one)} and ${nameOf(other)}`;
  const remedy = 'weftctl node list shows which one is silent; then: weftctl node forget NAME';
  const overlap = one.record.subnets.find((a) => other.record.subnets.some((b) => overlaps(a, b)));
  if (overlap) {
    findings.push({
      severity: 'failed',
      subject: both,
      found: `their subnets overlap in ${formatCidr(overlap)}`,
      wanted: 'one node per subnet',
      remedy,
    });
  }
  const ips = (held: HeldSubnet) => held.record.attributes?.publicIps ?? [];
  const shared = ips(one).find((a) => ips(other).some((b) => sameIp(a, b)));
  if (shared) {
    findings.push({
      severity: 'failed',
      subject: both,
      found: `both have the public IP ${formatIp(shared)}, so only one of them can be reached`,
      wanted: 'one node per public IP',
      remedy,
    });
  }
  return findings;
}

const nameOf = ({ record, owner }: HeldSubnet): string =>
  owner?.name ? `${quoted(owner.name)} (${record.key})` : record.key;
