/** The transactions that take, change and give back a lease. Each compares every record that it touches (I2). */
import { configKey } from './cluster-config.ts';
import type { Claimant } from './decide.ts';
import { parseSubnetKey, subnetKey, subnetsFolder } from './key.ts';
import { claimsFolder, encodeNode, nodesFolder, releasedFolder } from './node-record.ts';
import type { Transaction, Write } from './store.ts';
import { encodeValue } from './value.ts';
import type { ClusterView } from './view.ts';

class TransactionBuilder {
  readonly #view: ClusterView;
  readonly #writes = new Map<string, Write>();
  readonly #compared = new Set<string>();

  constructor(view: ClusterView) {
    this.#view = view;
  }

  compare(key: string): void {
    this.#compared.add(key);
  }

  put(key: string, value: string, session: string | undefined): void {
    this.compare(key);
    this.#writes.set(key, { type: 'put', key, value, session });
  }

  /** Deletes what the view knows; where it knows nothing, that this is so is compared. */
  delete(key: string): void {
    this.compare(key);
    if (this.#view.records.has(key)) this.#writes.set(key, { type: 'delete', key });
  }

  build(): Transaction {
    return {
      compare: [...this.#compared].map((key) => ({ key, version: this.#view.version(key) })),
      write: [...this.#writes.values()],
    };
  }
}

/** With both families a record per subnet: flannel's joint key alone lets two nodes share one family's. */
function claimKeys(key: string): readonly string[] {
  const subnets = parseSubnetKey(key) ?? [];
  return subnets.length < 2 ? [] : subnets.map((subnet) => claimsFolder + subnetKey([subnet]));
}

/** Every record that a lease of that node consists of. */
export const recordKeys = (key: string, nodeId: string): readonly string[] => [
  subnetsFolder + key,
  nodesFolder + nodeId,
  releasedFolder + key,
  ...claimKeys(key),
];

export function takeLease(options: {
  readonly view: ClusterView;
  readonly us: Claimant;
  readonly key: string;
  readonly session: string;
  readonly renewSeconds: number;
  readonly replaces: readonly string[];
  readonly deletes: readonly string[];
}): Transaction {
  const { view, us, key, session, renewSeconds } = options;
  const builder = new TransactionBuilder(view);
  builder.compare(configKey);
  for (const other of options.deletes) {
    builder.delete(subnetsFolder + other);
    for (const claim of claimKeys(other)) builder.delete(claim);
  }
  for (const id of options.replaces) builder.delete(nodesFolder + id);
  const known = view.subnet(key);
  // A record without a session is a reservation, and stays one.
  const bound = known && known.session === undefined ? undefined : session;
  builder.put(subnetsFolder + key, encodeValue(us.attributes), bound);
  for (const claim of claimKeys(key)) builder.put(claim, us.id, session);
  builder.delete(releasedFolder + key);
  const node = { id: us.id, name: us.name, subnet: key, boot: us.boot, run: us.run, renewSeconds };
  builder.put(nodesFolder + us.id, encodeNode(node), session);
  return builder.build();
}

/** Writes new attributes into the record that is ours. */
export function changeLease(options: {
  readonly view: ClusterView;
  readonly us: Claimant;
  readonly key: string;
}): Transaction {
  const { view, us, key } = options;
  const builder = new TransactionBuilder(view);
  builder.compare(nodesFolder + us.id);
  builder.put(subnetsFolder + key, encodeValue(us.attributes), view.subnet(key)?.session);
  return builder.build();
}

/**
 * Gives a subnet back. `mark` keeps others off it for as long as `markSession` lives; a reservation stays.
 * `nodeId` is undefined for a record of flannel's.
 */
export function giveBack(options: {
  readonly view: ClusterView;
  readonly key: string;
  readonly nodeId: string | undefined;
  readonly mark: string;
  readonly markSession: string;
}): Transaction {
  const { view, key, nodeId } = options;
  const builder = new TransactionBuilder(view);
  const subnet = view.subnet(key);
  if (subnet?.session === undefined) builder.compare(subnetsFolder + key);
  else builder.delete(subnetsFolder + key);
  for (const claim of claimKeys(key)) builder.delete(claim);
  if (nodeId !== undefined) builder.delete(nodesFolder + nodeId);
  builder.put(releasedFolder + key, options.mark, options.markSession);
  return builder.build();
}
