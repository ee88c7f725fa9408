/**
 * What the agent tells whoever makes pods on this host, in flannel's words (flannel pkg/subnet/subnet.go,
 * WriteSubnetFile): its being there means that the node is ready for pods, so it is written last of all.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../disk/replace-file.ts';
import { type Cidr, formatCidr, formatInterfaceAddress, nthIp } from '../../inet/cidr.ts';

export interface SubnetFile {
  /** The cluster's networks, at most one per family. */
  readonly networks: readonly Cidr[];
  /** This node's subnets, at most one per family. */
  readonly subnets: readonly Cidr[];
  /** What pods may send in one packet. */
  readonly mtuBytes: number;
  /** Whether the agent masquerades what pods send to the world outside. */
  readonly masquerade: boolean;
}

export const subnetFilePath = (runDir: string): string => join(runDir, 'subnet.env');

/** flannel's keys in flannel's order; the subnet as the bridge's address in it, `.1`. */
export function formatSubnetFile({ networks, subnets, mtuBytes, masquerade }: SubnetFile): string {
  const families = [
    ['ipv4', 'FLANNEL_NETWORK', 'FLANNEL_SUBNET'],
    ['ipv6', 'FLANNEL_IPV6_NETWORK', 'FLANNEL_IPV6_SUBNET'],
  ] as const;
  const lines = families.flatMap(([family, networkKey, subnetKey]) => {
    const network = networks.find((candidate) => candidate.family === family);
    const subnet = subnets.find((candidate) => candidate.family === family);
    if (!network || !subnet) return [];
    const bridge = formatInterfaceAddress({ address: nthIp(subnet, 1), length: subnet.length });
    return [`${networkKey}=${formatCidr(network)}`, `${subnetKey}=${bridge}`];
  });
  return [...lines, `FLANNEL_MTU=${mtuBytes}`, `FLANNEL_IPMASQ=${masquerade}`, ''].join('\n');
}

/**
 * Written only where it is missing or says something else: every pass asks for it, and the disk makes it wait.
 *
 * @throws DiskError
 */
export function writeSubnetFile(runDir: string, file: SubnetFile): void {
  if (isSubnetFile(runDir, file)) return;
  replaceFile({ path: subnetFilePath(runDir), content: formatSubnetFile(file), durable: false });
}

/** Whether it is there and says that. */
export const isSubnetFile = (runDir: string, file: SubnetFile): boolean =>
  contentOf(subnetFilePath(runDir)) === formatSubnetFile(file);

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // whatever is there, it is not the file
  }
}
