/** The transactions that take, change and give back a lease. Each compares every record that it touches (I2). */

import { type NodeExtension, sameExtension, withUnknown } from '../extension.ts';
import { configKey } from '../flannel/cluster-config.ts';
import { parseSubnetKey, subnetKey, subnetsFolder } from '../flannel/key.ts';
import { encodeValue } from '../flannel/value.ts';
import type { Transaction, Write } from '../store/store.ts';
import { claimsFolder, encodeNode, nodesFolder, releasedFolder } from '../view/node-record.ts';
import type { ClusterView } from '../view/view.ts';
import type { Claimant } from './decide.ts';

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

/**
 * One record per subnet, beside flannel's: its joint key of both families lets two nodes share one family's
 * subnet, and a record of its that somebody deletes by hand would be free before its holder has noticed.
 */
const claimKeys = (key: string): readonly string[] =>
  (parseSubnetKey(key) ?? []).map((subnet) => claimsFolder + subnetKey([subnet]));

/** Stands for the session in a transaction that is made before it is opened. */
const toBeOpened = 'to be opened';

/** Every record that a lease of that node consists of. */
export const recordKeys = (key: string, nodeId: string): readonly string[] => [
  subnetsFolder + key,
  nodesFolder + nodeId,
  releasedFolder + key,
  ...claimKeys(key),
];

/**
 * To be made from the very view that the decision was made on, with no await in between: the comparison is what
 * makes the decision safe. The session may be opened later.
 */
export function takeLease(options: {
  readonly view: ClusterView;
  readonly us: Claimant;
  readonly key: string;
  readonly renewSeconds: number;
  readonly replaces: readonly string[];
  readonly deletes: readonly string[];
}): (session: string) => Transaction {
  const { view, us, key, renewSeconds } = options;
  const builder = new TransactionBuilder(view);
  builder.compare(configKey);
  for (const other of options.deletes) {
    builder.delete(subnetsFolder + other);
    for (const claim of claimKeys(other)) builder.delete(claim);
  }
  for (const id of options.replaces) builder.delete(nodesFolder + id);
  const known = view.subnet(key);
  // A record without a session is a reservation, and stays one.
  const bound = known && known.session === undefined ? undefined : toBeOpened;
  builder.put(subnetsFolder + key, encodeValue(us.attributes), bound);
  for (const claim of claimKeys(key)) builder.put(claim, us.id, toBeOpened);
  builder.delete(releasedFolder + key);
  builder.put(nodesFolder + us.id, nodeValue({ view, us, key, renewSeconds }), toBeOpened);
  const { compare, write } = builder.build();
  return (session) => ({
    compare,
    write: write.map((one) => (one.type === 'put' && one.session === toBeOpened ? { ...one, session } : one)),
  });
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
  const node = view.node(us.id);
  if (node && !tellsExtension(view, us)) {
    const { renewSeconds, session } = node;
    builder.put(nodesFolder + us.id, nodeValue({ view, us, key, renewSeconds }), session);
  }
  return builder.build();
}

/** What is unknown to this version in the extension that the store has, is written again. */
function extensionFor(view: ClusterView, { id, attributes }: Claimant): NodeExtension | undefined {
  const { extension } = attributes;
  return extension && withUnknown(extension, view.node(id)?.extension);
}

/** Whether the node's record has the extension that it should have. */
export function tellsExtension(view: ClusterView, us: Claimant): boolean {
  const extension = extensionFor(view, us);
  return extension === undefined || sameExtension(extension, view.node(us.id)?.extension);
}

function nodeValue(at: { view: ClusterView; us: Claimant; key: string; renewSeconds: number }): string {
  const { view, us, key, renewSeconds } = at;
  const { id, name, boot, run } = us;
  const extension = extensionFor(view, us);
  return encodeNode({ id, name, subnet: key, boot, run, renewSeconds, ...(extension ? { extension } : {}) });
}

/** Says that a subnet which is held is about to be given back: see give-back.ts. */
export function markReleased(options: {
  readonly view: ClusterView;
  readonly key: string;
  readonly nodeId: string;
  readonly mark: string;
  readonly markSession: string;
}): Transaction {
  const { view, key, nodeId, mark, markSession } = options;
  const builder = new TransactionBuilder(view);
  builder.compare(subnetsFolder + key);
  builder.compare(nodesFolder + nodeId);
  builder.put(releasedFolder + key, mark, markSession);
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
