/**
 * What this agent knows of the store: every record, decoded once. Only a deletion, or a complete list that
 * lacks it, removes a record; a record that cannot be decoded is still there.
 */
import type { Cidr } from '../../inet/cidr.ts';
import { parseSubnetKey, subnetsFolder } from './key.ts';
import type { LeaseAttributes } from './lease.ts';
import { claimsFolder, decodeNode, type NodeRecord, nodesFolder, releasedFolder } from './node-record.ts';
import { absent, type StoreRecord, type WatchItem } from './store.ts';
import { decodeValue } from './value.ts';

export interface SubnetRecord {
  /** `10.244.1.0-24` */
  readonly key: string;
  readonly subnets: readonly Cidr[];
  /** Undefined where the value is no lease; `problem` says why. */
  readonly attributes: LeaseAttributes | undefined;
  readonly problem: string | undefined;
  readonly session: string | undefined;
}

export interface HeldNode extends NodeRecord {
  readonly session: string | undefined;
}

type Decoded =
  | { readonly kind: 'subnet'; readonly subnet: SubnetRecord }
  | { readonly kind: 'node'; readonly node: HeldNode }
  | { readonly kind: 'released'; readonly key: string; readonly mark: ReleaseMark }
  | { readonly kind: 'claim'; readonly key: string; readonly id: string }
  | { readonly kind: 'stray'; readonly reason: string }
  | { readonly kind: 'other' };

/** Who gave a subnet back, and whether it was told to leave (`run` set) or forgotten. */
export interface ReleaseMark {
  readonly id: string;
  readonly run: string;
}

export class ClusterView {
  readonly records = new Map<string, StoreRecord>();
  readonly #decoded = new WeakMap<StoreRecord, Decoded>();
  /** A whole list has been seen. */
  complete = false;
  /** Where the watch continues. */
  cursor = '';

  /** Takes in what a list or a watch delivered; answers the keys that changed. */
  apply(item: WatchItem): ReadonlySet<string> {
    const changed = new Set<string>();
    this.cursor = item.cursor;
    if (item.type === 'events') {
      for (const event of item.events) {
        const key = event.type === 'put' ? event.record.key : event.key;
        if (event.type === 'put') this.records.set(key, event.record);
        else this.records.delete(key);
        changed.add(key);
      }
      return changed;
    }
    const gone = new Set(this.records.keys());
    for (const record of item.records) {
      gone.delete(record.key);
      const known = this.records.get(record.key);
      if (known?.version === record.version && known.session === record.session) continue;
      this.records.set(record.key, record);
      changed.add(record.key);
    }
    for (const key of gone) {
      this.records.delete(key);
      changed.add(key);
    }
    this.complete = true;
    return changed;
  }

  version(key: string): string {
    return this.records.get(key)?.version ?? absent;
  }

  subnet(key: string): SubnetRecord | undefined {
    const decoded = this.#decode(subnetsFolder + key);
    return decoded?.kind === 'subnet' ? decoded.subnet : undefined;
  }

  node(id: string): HeldNode | undefined {
    const decoded = this.#decode(nodesFolder + id);
    return decoded?.kind === 'node' ? decoded.node : undefined;
  }

  released(key: string): ReleaseMark | undefined {
    const decoded = this.#decode(releasedFolder + key);
    return decoded?.kind === 'released' ? decoded.mark : undefined;
  }

  *subnets(): Generator<SubnetRecord> {
    for (const decoded of this.#all()) if (decoded.kind === 'subnet') yield decoded.subnet;
  }

  *nodes(): Generator<HeldNode> {
    for (const decoded of this.#all()) if (decoded.kind === 'node') yield decoded.node;
  }

  *releasedKeys(): Generator<{ key: string; mark: ReleaseMark }> {
    for (const decoded of this.#all()) if (decoded.kind === 'released') yield decoded;
  }

  *claims(): Generator<{ key: string; id: string }> {
    for (const decoded of this.#all()) if (decoded.kind === 'claim') yield decoded;
  }

  /** Keys under `subnets/` that are no subnets. */
  *strays(): Generator<{ key: string; reason: string }> {
    for (const key of this.records.keys()) {
      const decoded = this.#decode(key);
      if (decoded?.kind === 'stray') yield { key, reason: decoded.reason };
    }
  }

  /**
   * Whose a subnet is: the node whose record names it and lives in the same session; undefined for flannel's
   * nodes and for reservations that nobody uses.
   */
  ownerOf(subnet: SubnetRecord, nodes: Iterable<HeldNode> = this.nodes()): HeldNode | undefined {
    for (const node of nodes) {
      if (node.subnet !== subnet.key) continue;
      if (subnet.session === undefined || subnet.session === node.session) return node;
    }
    return undefined;
  }

  *#all(): Generator<Decoded> {
    for (const key of this.records.keys()) {
      const decoded = this.#decode(key);
      if (decoded) yield decoded;
    }
  }

  #decode(key: string): Decoded | undefined {
    const record = this.records.get(key);
    if (!record) return undefined;
    const known = this.#decoded.get(record);
    if (known) return known;
    const decoded = decode(record);
    this.#decoded.set(record, decoded);
    return decoded;
  }
}

function decode(record: StoreRecord): Decoded {
  const { key, value, session } = record;
  if (key.startsWith(subnetsFolder)) {
    const name = key.slice(subnetsFolder.length);
    const subnets = parseSubnetKey(name);
    if (!subnets)
      return { kind: 'stray', reason: 'the key is not a subnet such as 10.244.1.0-24; delete it' };
    const attributes = decodeValue(value);
    const broken = typeof attributes === 'string';
    return {
      kind: 'subnet',
      subnet: {
        key: name,
        subnets,
        attributes: broken ? undefined : attributes,
        problem: broken ? attributes : undefined,
        session,
      },
    };
  }
  if (key.startsWith(nodesFolder)) {
    const node = decodeNode(key.slice(nodesFolder.length), value);
    return node ? { kind: 'node', node: { ...node, session } } : { kind: 'other' };
  }
  if (key.startsWith(claimsFolder)) return { kind: 'claim', key: key.slice(claimsFolder.length), id: value };
  if (key.startsWith(releasedFolder)) {
    const [id = '', run = ''] = value.split(' ');
    return { kind: 'released', key: key.slice(releasedFolder.length), mark: { id, run } };
  }
  return { kind: 'other' };
}
