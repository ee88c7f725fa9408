/** What is kept of a Node: its subnets, flannel's annotations, and whether its network is said to be unavailable. */
import { isDeepStrictEqual } from 'node:util';
import { type Cidr, containsCidr, formatCidr, parseCidr } from '../../../inet/cidr.ts';
import { type JsonObject, objectIn, textIn } from '../../../kubernetes/json.ts';
import type { LeaseNetwork } from '../lease.ts';
import { type Annotations, isJoined, pickAnnotations } from './annotations.ts';

export interface SeenNode {
  /** `spec.podCIDRs`, which never change once they are set; empty: not set yet; undefined: not known yet. */
  readonly podCidrs: readonly string[] | undefined;
  /** By their names without prefix. */
  readonly annotations: Annotations;
  /** Flannel's annotations have been seen on it: that they are missing is a fault from then on. */
  readonly joined: boolean;
  /** The status of the condition NetworkUnavailable; undefined: there is none, or only metadata was seen. */
  readonly networkUnavailable: string | undefined;
}

/** Of a whole Node, or of its metadata alone: then what cannot be in it stays as it was. */
export function digestNode(object: JsonObject, known: SeenNode | undefined, prefix: string): SeenNode {
  const annotations = pickAnnotations(objectIn(objectIn(object, 'metadata'), 'annotations') ?? {}, prefix);
  const joined = known?.joined === true || isJoined(annotations);
  const spec = objectIn(object, 'spec');
  const status = objectIn(object, 'status');
  if (!spec && !status) {
    const set = known?.podCidrs?.length ? known.podCidrs : undefined;
    return { podCidrs: set, annotations, joined, networkUnavailable: known?.networkUnavailable };
  }
  const conditions = Array.isArray(status?.conditions) ? (status.conditions as JsonObject[]) : [];
  const condition = conditions.find((one) => one?.type === 'NetworkUnavailable');
  return { podCidrs: podCidrsOf(spec), annotations, joined, networkUnavailable: textIn(condition, 'status') };
}

function podCidrsOf(spec: JsonObject | undefined): readonly string[] {
  const many = spec?.podCIDRs;
  if (Array.isArray(many) && many.length > 0) return many.filter((one) => typeof one === 'string');
  const one = textIn(spec, 'podCIDR');
  return one === undefined ? [] : [one];
}

export const sameNode = (one: SeenNode, other: SeenNode): boolean => isDeepStrictEqual(one, other);

/** The node's subnet of each family of the cluster's network, IPv4 first, or why it cannot be had, with the remedy. */
export function subnetsOf(
  podCidrs: readonly string[],
  networks: readonly LeaseNetwork[],
): readonly Cidr[] | string {
  if (podCidrs.length === 0) {
    const ranges = networks.map(({ cidr }) => formatCidr(cidr)).join(',');
    const flags = `--allocate-node-cidrs=true --cluster-cidr=${ranges}`;
    const remedy = `start kube-controller-manager with ${flags}, or enlarge the cluster CIDR if it is used up`;
    return `it has no podCIDR: ${remedy}`;
  }
  const parsed = podCidrs.map((text) => parseCidr(text));
  const subnets: Cidr[] = [];
  for (const { cidr } of networks) {
    const subnet = parsed.find((one) => one?.family === cidr.family);
    const field = cidr.family === 'ipv4' ? 'network' : 'network6';
    if (!subnet) {
      const what = `its podCIDRs ${podCidrs.join(', ')} have no ${cidr.family === 'ipv4' ? 'IPv4' : 'IPv6'} subnet`;
      const remedy = `give kube-controller-manager a cluster CIDR of that family, or remove ${field}`;
      return `${what}: ${remedy} from the configuration`;
    }
    if (!containsCidr(cidr, subnet)) {
      const what = `its podCIDR ${formatCidr(subnet)} is outside the network ${formatCidr(cidr)}`;
      return `${what}: set ${field} in the configuration to the controller manager's --cluster-cidr`;
    }
    subnets.push(subnet);
  }
  return subnets;
}
