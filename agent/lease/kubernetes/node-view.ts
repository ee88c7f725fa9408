/** The Nodes as records of leases, for the rules that hold for peers of any store. */
import { formatCidr, parseCidr } from '../../../inet/cidr.ts';
import type { Reflected } from '../../../kubernetes/reflector.ts';
import { decodeExtension } from '../extension.ts';
import { subnetKey } from '../flannel/key.ts';
import type { LeaseNetwork, PeerProblem } from '../lease.ts';
import type { PeerOwner, PeerView, SubnetRecord } from '../view/peer-view.ts';
import { decodeAnnotations } from './annotations.ts';
import type { SeenNode } from './node.ts';

interface NodeRecord extends SubnetRecord {
  readonly owner: PeerOwner;
}

export class NodeView implements PeerView {
  readonly complete: boolean;
  readonly #records = new Map<string, NodeRecord>();
  readonly #problems: PeerProblem[] = [];

  constructor(known: {
    readonly nodes: Iterable<Reflected<SeenNode>>;
    readonly complete: boolean;
    readonly own: string;
    readonly networks: readonly LeaseNetwork[];
  }) {
    this.complete = known.complete;
    for (const node of known.nodes) if (node.key !== known.own) this.#add(node, known.networks);
  }

  subnets(): Iterable<SubnetRecord> {
    return this.#records.values();
  }

  subnet(key: string): SubnetRecord | undefined {
    return this.#records.get(key);
  }

  ownerOf({ key }: SubnetRecord): PeerOwner | undefined {
    return this.#records.get(key)?.owner;
  }

  /** A Node that is gone is gone: there is no grace. */
  released(): undefined {
    return undefined;
  }

  labelOf(key: string): string {
    const owner = this.#records.get(key)?.owner;
    return owner ? this.labelOfOwner(owner) : key;
  }

  labelOfOwner({ name }: PeerOwner): string {
    return `Node ${name}`;
  }

  problems(): Iterable<PeerProblem> {
    return this.#problems;
  }

  #add(node: Reflected<SeenNode>, networks: readonly LeaseNetwork[]): void {
    const found = recordOf(node, networks);
    if (found === undefined) return;
    if ('reason' in found) {
      this.#problems.push(found);
      return;
    }
    if (!this.#records.has(found.key)) {
      this.#records.set(found.key, found);
      return;
    }
    const subnets = found.subnets.map(formatCidr).join(', ');
    const other = this.labelOf(found.key);
    const reason = `its podCIDR ${subnets} is also that of ${other}, and it is left out: delete one of the two Nodes`;
    this.#problems.push({ key: this.labelOfOwner(found.owner), reason });
  }
}

/** What a Node amounts to; undefined: it is not a peer, and that is no problem. */
type Outcome = NodeRecord | PeerProblem | undefined;

/** Made once for each of thousands: what has not changed of a Node is the same object. */
function recordOf(node: Reflected<SeenNode>, networks: readonly LeaseNetwork[]): Outcome {
  const known = made.get(node.value);
  if (known?.networks === networks) return known.outcome;
  const outcome = makeRecord(node, networks);
  made.set(node.value, { networks, outcome });
  return outcome;
}

const made = new WeakMap<SeenNode, { networks: readonly LeaseNetwork[]; outcome: Outcome }>();

function makeRecord(
  { key: name, uid, value }: Reflected<SeenNode>,
  networks: readonly LeaseNetwork[],
): Outcome {
  const { podCidrs, annotations } = value;
  const families = networks.map(({ cidr }) => cidr.family);
  const attributes =
    decodeAnnotations(annotations, families) ??
    (value.joined ? 'annotation kube-subnet-manager is not "true" any more' : undefined);
  // Neither flannel nor weft runs there yet, or it has no subnet yet.
  if (attributes === undefined || !podCidrs?.length) return undefined;
  const subnets = podCidrs
    .flatMap((text) => parseCidr(text) ?? [])
    .filter(({ family }) => families.includes(family));
  if (subnets.length === 0) {
    const what = `its podCIDRs ${podCidrs.join(', ')} are of no family of the cluster's network`;
    return { key: `Node ${name}`, reason: `${what}; that node cannot be reached` };
  }
  const decoded =
    typeof attributes === 'string'
      ? { attributes: undefined, problem: attributes }
      : { attributes, problem: undefined };
  const extension = annotations.extension === undefined ? undefined : decodeExtension(annotations.extension);
  const owner: PeerOwner = {
    id: uid,
    name,
    ...(typeof extension === 'object' ? { extension } : {}),
    ...(typeof extension === 'string' ? { extensionProblem: extension } : {}),
  };
  return { key: subnetKey(subnets), subnets, ...decoded, session: undefined, owner };
}
