/**
 * Who owns a lease: `weft/nodes/<node id>`, beside flannel's records and out of its sight. One per node id, so
 * that the comparison which creates it also proves that no other agent runs under that id.
 */
import { field, parseObject } from '../../../json/object.ts';
import { encodeExtension, extensionOf, type NodeExtension } from '../extension.ts';
import { parseSubnetKey } from '../flannel/key.ts';
import { maxValueBytes } from '../flannel/value.ts';
import { parseNodeName } from '../node-name.ts';

export const nodesFolder = 'weft/nodes/';
/** Marks of subnets given back, `weft/released/<key>`: they keep others off for a while. */
export const releasedFolder = 'weft/released/';
/** Which node has a subnet, `weft/claims/<key of one subnet>` → node id: one per family. See claim.ts. */
export const claimsFolder = 'weft/claims/';

const longestRenewSeconds = 600;

export interface NodeRecord {
  readonly id: string;
  /** Empty where the record has none, or one that is not a host name. */
  readonly name: string;
  /** The key of its lease under `subnets/`. */
  readonly subnet: string;
  /** The kernel's boot id while it was written. */
  readonly boot: string;
  /** Drawn anew wherever runDir was lost: tells an agent's restart from another agent with the same id. */
  readonly run: string;
  /** How often its holder renews. */
  readonly renewSeconds: number;
  readonly extension?: NodeExtension;
  /** Why the record's extension is left out. */
  readonly extensionProblem?: string;
}

export const encodeNode = (node: NodeRecord): string => {
  const { name, subnet, boot, run, renewSeconds, extension } = node;
  const parsed: unknown = extension && JSON.parse(encodeExtension(extension));
  return JSON.stringify({ name, subnet, boot, run, renewSeconds, extension: parsed });
};

/** The record, or undefined where the value is not one. */
export function decodeNode(id: string, value: string): NodeRecord | undefined {
  if (value.length > maxValueBytes) return undefined;
  const object = parseObject(value);
  if (!object) return undefined;
  const text = (name: string): string => {
    const found = field(object, name);
    return typeof found === 'string' ? found : '';
  };
  const subnet = text('subnet');
  if (parseSubnetKey(subnet) === undefined) return undefined;
  const renew = field(object, 'renewSeconds');
  // A record must not make others wait for hours before its holder counts as silent.
  const renewSeconds = typeof renew === 'number' && renew > 0 ? Math.min(renew, longestRenewSeconds) : 10;
  const given = field(object, 'extension');
  const extension = given === undefined ? undefined : extensionOf(given);
  return {
    id,
    name: parseNodeName(text('name')) ?? '',
    subnet,
    boot: text('boot'),
    run: text('run'),
    renewSeconds,
    ...(typeof extension === 'object' ? { extension } : {}),
    ...(typeof extension === 'string' ? { extensionProblem: extension } : {}),
  };
}
