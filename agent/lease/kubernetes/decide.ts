/**
 * What a node has, by what is known of its Node. Pure. The controller manager is the arbiter: it gives a Node its
 * subnets once, for the Node's life. So a lease has no deadline: it ends when the Node is seen deleted, or seen with
 * another uid and another subnet.
 */
import { type Cidr, formatCidr } from '../../../inet/cidr.ts';
import { subnetKey } from '../flannel/key.ts';
import type { LeaseNetwork } from '../lease.ts';
import { type SeenNode, subnetsOf } from './node.ts';

export interface Current {
  readonly subnets: readonly Cidr[];
  /** Of the Node that gave them; undefined: from another store. */
  readonly uid: string | undefined;
}

export interface Known {
  readonly nodeName: string;
  readonly networks: readonly LeaseNetwork[];
  /** A whole list has been seen. */
  readonly complete: boolean;
  readonly node: { readonly uid: string; readonly value: SeenNode } | undefined;
  /** The lease of this life, or the saved one; undefined: none. */
  readonly current: Current | undefined;
  /** The subnets of `current` cannot be changed: the agent has told them to others, or pods have addresses of them. */
  readonly bound: boolean;
}

/** `waiting`: there is no lease, for this reason; `lost`: the current one has ended; `unknown`: as before. */
export type Decision =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'held'; readonly subnets: readonly Cidr[]; readonly uid: string };

export function decideLease({ nodeName, networks, complete, node, current, bound }: Known): Decision {
  if (!node) {
    if (!complete) return { kind: 'unknown' };
    if (!current) {
      const remedy = 'wait for its kubelet to register it, or set NODE_NAME to the name it has';
      return { kind: 'waiting', reason: `Node ${nodeName} does not exist: ${remedy}` };
    }
    const ended = `Node ${nodeName} was deleted, and its subnet ${textOf(current.subnets)} may be given to another`;
    const remedy = 'register the Node again (restart its kubelet), or drain this machine';
    return { kind: 'lost', reason: `${ended}: no new pods are made; ${remedy}` };
  }
  const { uid, value } = node;
  // A Node's subnets never change: what is known of this uid holds, whatever is missing of it here.
  if (current && uid === current.uid && !value.podCidrs?.length)
    return { kind: 'held', subnets: current.subnets, uid };
  if (value.podCidrs === undefined) return { kind: 'unknown' };
  const subnets = subnetsOf(value.podCidrs, networks);
  if (typeof subnets === 'string') {
    const reason = `Node ${nodeName}: ${subnets}`;
    return current && bound ? { kind: 'lost', reason } : { kind: 'waiting', reason };
  }
  if (!current || !bound || subnetKey(subnets) === subnetKey(current.subnets))
    return { kind: 'held', subnets, uid };
  const ended = `Node ${nodeName} was deleted and created again with podCIDR ${textOf(subnets)}`;
  const why = `running pods have addresses of ${textOf(current.subnets)}, which may be given to another node`;
  const remedy =
    'no new pods are made; drain the node, delete the pods that DaemonSets still have there, then restart weftd on it';
  return { kind: 'lost', reason: `${ended}, and ${why}: ${remedy}` };
}

const textOf = (subnets: readonly Cidr[]): string => subnets.map(formatCidr).join(', ');
