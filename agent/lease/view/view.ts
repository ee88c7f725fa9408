/**
 * What this agent knows of the store: every record, decoded once, by what it is. Only a deletion, or a complete
 * list that lacks it, removes a record; a record that cannot be decoded is still there.
 */
import type { Cidr } from '../../../inet/cidr.ts';
import { configKey } from '../flannel/cluster-config.ts';
import { parseSubnetKey, subnetsFolder } from '../flannel/key.ts';
import { decodeValue } from '../flannel/value.ts';
import type { LeaseAttributes, PeerProblem } from '../lease.ts';
import { absent, type StoreRecord, type WatchItem } from '../store/store.ts';
import { claimsFolder, decodeNode, type NodeRecord, nodesFolder, releasedFolder } from './node-record.ts';
import type { PeerView, SubnetRecord } from './peer-view.ts';
import { Problems } from './problems.ts';

export interface HeldNode extends NodeRecord {
  readonly session: string | undefined;
}

/** A subnet of one family, and which node has it. */
export interface Claim {
  readonly key: string;
  readonly subnets: readonly Cidr[];
  readonly id: string;
}

/** Who gave a subnet back, and whether it was told to leave (`run` set) or forgotten. */
export interface ReleaseMark {
  readonly key: string;
  readonly subnets: readonly Cidr[];
  readonly id: string;
  readonly run: string;
}

export class ClusterView implements PeerView {
  readonly records = new Map<string, StoreRecord>();
  /** A whole list has been seen. */
  complete = false;
  /** Where the watch continues. */
  cursor = '';
  readonly #subnets = new Map<string, SubnetRecord>();
  readonly #nodes = new Map<string, HeldNode>();
  /** The same by the subnet that they name, and then by id. */
  readonly #holders = new Map<string, Map<string, HeldNode>>();
  readonly #claims = new Map<string, Claim>();
  readonly #released = new Map<string, ReleaseMark>();
  /** Keys under `subnets/` that are no subnets. */
  readonly #strays = new Set<string>();

  /** Takes in what a list or a watch delivered; answers the keys that changed. */
  apply(item: WatchItem): ReadonlySet<string> {
    const changed = new Set<string>();
    this.cursor = item.cursor;
    if (item.type === 'events') {
      for (const event of item.events) {
        if (event.type === 'put') this.#put(event.record);
        else this.#remove(event.key);
        changed.add(event.type === 'put' ? event.record.key : event.key);
      }
      return changed;
    }
    const gone = new Set(this.records.keys());
    for (const record of item.records) {
      gone.delete(record.key);
      const known = this.records.get(record.key);
      // A version alone is not enough: a store that was restored from a backup gives them out again.
      if (
        known?.version === record.version &&
        known.session === record.session &&
        known.value === record.value
      )
        continue;
      this.#put(record);
      changed.add(record.key);
    }
    for (const key of gone) {
      this.#remove(key);
      changed.add(key);
    }
    this.complete = true;
    return changed;
  }

  version(key: string): string {
    return this.records.get(key)?.version ?? absent;
  }

  subnet(key: string): SubnetRecord | undefined {
    return this.#subnets.get(key);
  }

  node(id: string): HeldNode | undefined {
    return this.#nodes.get(id);
  }

  released(key: string): ReleaseMark | undefined {
    return this.#released.get(key);
  }

  subnets(): Iterable<SubnetRecord> {
    return this.#subnets.values();
  }

  nodes(): Iterable<HeldNode> {
    return this.#nodes.values();
  }

  releaseMarks(): Iterable<ReleaseMark> {
    return this.#released.values();
  }

  claims(): Iterable<Claim> {
    return this.#claims.values();
  }

  labelOf(key: string): string {
    return subnetsFolder + key;
  }

  labelOfOwner({ id }: { readonly id: string }): string {
    return nodesFolder + id;
  }

  problems(): readonly PeerProblem[] {
    const problems = new Problems();
    const reason = 'the key is not a subnet such as 10.244.1.0-24; delete it';
    for (const key of this.#strays)
      problems.add({ key, kind: 'they are not subnets; delete them', reason: () => reason });
    return problems.list;
  }

  /**
   * Whose a subnet is: the node whose record names it and lives in the same session; undefined for flannel's
   * nodes and for reservations that nobody uses.
   */
  ownerOf(subnet: SubnetRecord): HeldNode | undefined {
    for (const node of this.#holders.get(subnet.key)?.values() ?? []) {
      if (subnet.session === undefined || subnet.session === node.session) return node;
    }
    return undefined;
  }

  #put(record: StoreRecord): void {
    const { key, value, session } = record;
    // Keys that mean nothing to weft may be many and large.
    if (!isOurs(key)) return;
    this.records.set(key, record);
    if (key.startsWith(subnetsFolder)) {
      const name = key.slice(subnetsFolder.length);
      const subnets = this.#subnets.get(name)?.subnets ?? parseSubnetKey(name);
      if (!subnets) this.#strays.add(key);
      else this.#subnets.set(name, new DecodedSubnet({ key: name, subnets, value, session }));
    } else if (key.startsWith(nodesFolder)) {
      const id = key.slice(nodesFolder.length);
      const node = decodeNode(id, value);
      this.#removeNode(id);
      if (node) this.#putNode({ ...node, session });
    } else if (key.startsWith(claimsFolder)) {
      const name = key.slice(claimsFolder.length);
      this.#claims.set(name, { key: name, subnets: this.#subnetsOf(name), id: value });
    } else if (key.startsWith(releasedFolder)) {
      const name = key.slice(releasedFolder.length);
      const [id = '', run = ''] = value.split(' ');
      this.#released.set(name, { key: name, subnets: this.#subnetsOf(name), id, run });
    }
  }

  #remove(key: string): void {
    this.records.delete(key);
    this.#strays.delete(key);
    if (key.startsWith(nodesFolder)) this.#removeNode(key.slice(nodesFolder.length));
    for (const [folder, records] of [
      [subnetsFolder, this.#subnets],
      [claimsFolder, this.#claims],
      [releasedFolder, this.#released],
    ] as const) {
      if (key.startsWith(folder)) records.delete(key.slice(folder.length));
    }
  }

  #putNode(node: HeldNode): void {
    this.#nodes.set(node.id, node);
    const holders = this.#holders.get(node.subnet);
    if (holders) holders.set(node.id, node);
    else this.#holders.set(node.subnet, new Map([[node.id, node]]));
  }

  #removeNode(id: string): void {
    const node = this.#nodes.get(id);
    if (!node) return;
    this.#nodes.delete(id);
    const holders = this.#holders.get(node.subnet);
    holders?.delete(id);
    if (holders?.size === 0) this.#holders.delete(node.subnet);
  }

  /** Of a key that is nearly always a lease's as well. */
  #subnetsOf(name: string): readonly Cidr[] {
    return this.#subnets.get(name)?.subnets ?? parseSubnetKey(name) ?? [];
  }
}

const folders = [subnetsFolder, nodesFolder, claimsFolder, releasedFolder];
const isOurs = (key: string): boolean =>
  key === configKey || folders.some((folder) => key.startsWith(folder));

/** Decoded when it is looked at: most of thousands of bad keys are left out by the key alone. */
class DecodedSubnet implements SubnetRecord {
  readonly key: string;
  readonly subnets: readonly Cidr[];
  readonly session: string | undefined;
  readonly #value: string;
  #meaning: LeaseAttributes | string | undefined;

  constructor(record: Pick<SubnetRecord, 'key' | 'subnets' | 'session'> & { readonly value: string }) {
    this.key = record.key;
    this.subnets = record.subnets;
    this.session = record.session;
    this.#value = record.value;
  }

  get attributes(): LeaseAttributes | undefined {
    const meaning = this.#decoded;
    return typeof meaning === 'string' ? undefined : meaning;
  }

  get problem(): string | undefined {
    const meaning = this.#decoded;
    return typeof meaning === 'string' ? meaning : undefined;
  }

  get #decoded(): LeaseAttributes | string {
    this.#meaning ??= decodeValue(this.#value);
    return this.#meaning;
  }
}
