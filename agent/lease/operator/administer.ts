/** What an operator does to leases by hand: `weftctl cluster init`, `weftctl node list | leave | forget`. */
import { formatIp } from '../../../inet/ip.ts';
import { printable } from '../../../problem/printable.ts';
import { LeaseError } from '../errors.ts';
import {
  type ClusterConfig,
  configKey,
  decodeClusterConfig,
  encodeClusterConfig,
} from '../flannel/cluster-config.ts';
import { giveBack } from '../protocol/claim.ts';
import { silentAfterRenewals } from '../protocol/probe.ts';
import { absent, type LeaseStore } from '../store/store.ts';
import { defaultTiming } from '../timing.ts';
import type { SubnetRecord } from '../view/peer-view.ts';
import { ClusterView, type HeldNode } from '../view/view.ts';

export interface NodeEntry {
  /** Empty for a record of flannel's. */
  readonly name: string;
  readonly id: string | undefined;
  readonly key: string;
  readonly publicIps: readonly string[];
  /** Since its last renewal; undefined where nobody renews: flannel's records and reservations. */
  readonly silentSeconds: number | undefined;
}

export async function listNodes(store: LeaseStore, signal: AbortSignal): Promise<NodeEntry[]> {
  const view = await viewOf(store, signal);
  const entries = [...view.subnets()].map(async (subnet): Promise<NodeEntry> => {
    const owner = view.ownerOf(subnet);
    return {
      name: owner?.name ?? '',
      id: owner?.id,
      key: subnet.key,
      publicIps: (subnet.attributes?.publicIps ?? []).map(formatIp),
      silentSeconds: owner?.session === undefined ? undefined : await store.silence(owner.session, signal),
    };
  });
  return Promise.all(entries);
}

/**
 * Writes the cluster's configuration. The same again is no error; another one is, unless `replace` is set, and
 * then too while nodes hold subnets that it has no place for.
 */
export async function initCluster(options: {
  readonly store: LeaseStore;
  readonly config: ClusterConfig;
  readonly replace: boolean;
  readonly signal: AbortSignal;
}): Promise<'written' | 'unchanged'> {
  const { store, config, replace, signal } = options;
  const value = encodeClusterConfig(config);
  const [record] = await store.read([configKey], signal);
  const where = `${store.description} ${configKey}`;
  // Read back as every node will: what is written is valid.
  decodeClusterConfig(value, where);
  if (record?.value === value) return 'unchanged';
  if (record && !replace) {
    throw new LeaseError(
      'cluster-config',
      `${where} is ${printable(record.value, 1000)}: add --replace to write ${value}`,
    );
  }
  const compare = [{ key: configKey, version: record?.version ?? absent }];
  const write = [{ type: 'put' as const, key: configKey, value, session: undefined }];
  if (!(await store.commit({ compare, write }, signal))) {
    throw new LeaseError('cluster-config', `${where} was modified concurrently; retry`);
  }
  return 'written';
}

/**
 * Gives a node's subnet back for it. `named` is a node's name, id, public IP or subnet key. Throws `LeaseError`
 * `no-such-node`, and `node-alive` for one that is heard, unless `force`d.
 */
export async function forgetNode(options: {
  readonly store: LeaseStore;
  readonly named: string;
  readonly force: boolean;
  readonly cooldownSeconds?: number;
  readonly signal: AbortSignal;
}): Promise<NodeEntry> {
  const { store, named, force, cooldownSeconds, signal } = options;
  const view = await viewOf(store, signal);
  const { subnet, owner } = findNode(view, named);
  const silentSeconds = owner?.session === undefined ? undefined : await store.silence(owner.session, signal);
  if (owner && isHeard(owner, silentSeconds) && !force) {
    throw new LeaseError(
      'node-alive',
      `node ${JSON.stringify(owner.name)} (${subnet.key}) was heard ${Math.round(silentSeconds)} s ago: drain it and run ` +
        'weftctl node leave there; or, if another runs under its name, add --force',
    );
  }
  // Without a run the mark says "forgotten", not "told to leave": a node that is alive after all comes back.
  const mark = `${owner?.id ?? 'flannel'} -`;
  await giveBackFor({ store, view, subnet, owner, mark, cooldownSeconds, signal });
  return {
    name: owner?.name ?? '',
    id: owner?.id,
    key: subnet.key,
    publicIps: (subnet.attributes?.publicIps ?? []).map(formatIp),
    silentSeconds,
  };
}

/**
 * Gives this node's subnet back, also while its agent runs, which then claims nothing until it is started again; if it
 * does not run, neither it nor the plugin claims anything by what is on disk. `renounce` ends the deadline there
 * (`renounceSaved`): before the store is asked, for its answer may be lost. `run` tells this machine's agent from
 * that of a copy of it (run.ts). Answers the subnet's key. Throws `LeaseError` `no-such-node` where the node holds none,
 * `node-id-taken` where its id is that of a copy which is alive, `StoreError`.
 */
export async function leaveCluster(options: {
  readonly store: LeaseStore;
  readonly nodeId: string;
  /** Undefined where no agent has been started since this machine booted. */
  readonly run: string | undefined;
  readonly renounce: () => void;
  readonly cooldownSeconds?: number;
  readonly signal: AbortSignal;
}): Promise<string> {
  const { store, nodeId, run, renounce, cooldownSeconds, signal } = options;
  const view = await viewOf(store, signal);
  const owner = view.node(nodeId);
  const subnet = owner && view.subnet(owner.subnet);
  if (!owner || !subnet) {
    throw new LeaseError('no-such-node', `this node (id ${nodeId}) holds no subnet in ${store.description}`);
  }
  if (run !== undefined && run !== owner.run && owner.session !== undefined) {
    const silentSeconds = await store.silence(owner.session, signal);
    if (isHeard(owner, silentSeconds)) {
      throw new LeaseError(
        'node-id-taken',
        `the node of id ${nodeId} that holds ${subnet.key} was heard ${Math.round(silentSeconds)} s ago, and not from ` +
          'this machine: was it cloned with its state directory? Run this where that node is; if it is this one and has ' +
          'just been booted, try again in half a minute',
      );
    }
  }
  renounce();
  await giveBackFor({
    store,
    view,
    subnet,
    owner,
    mark: `${owner.id} ${owner.run}`,
    cooldownSeconds,
    signal,
  });
  return subnet.key;
}

const isHeard = (owner: HeldNode, silentSeconds: number | undefined): silentSeconds is number =>
  silentSeconds !== undefined && silentSeconds < silentAfterRenewals * owner.renewSeconds;

async function giveBackFor(options: {
  readonly store: LeaseStore;
  readonly view: ClusterView;
  readonly subnet: SubnetRecord;
  readonly owner: HeldNode | undefined;
  readonly mark: string;
  readonly cooldownSeconds: number | undefined;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { store, view, subnet, owner, mark, cooldownSeconds, signal } = options;
  const { session: markSession } = await store.grant(
    cooldownSeconds ?? defaultTiming.cooldownSeconds,
    signal,
  );
  const transaction = giveBack({ view, key: subnet.key, nodeId: owner?.id, mark, markSession });
  if (!(await store.commit(transaction, signal))) {
    throw new LeaseError('not-held', `${subnet.key} was modified concurrently; retry`);
  }
  if (owner?.session !== undefined) await store.revoke(owner.session, signal);
}

function findNode(view: ClusterView, named: string): { subnet: SubnetRecord; owner: HeldNode | undefined } {
  const found = [...view.subnets()]
    .map((subnet) => ({ subnet, owner: view.ownerOf(subnet) }))
    .filter(
      ({ subnet, owner }) =>
        [owner?.name, owner?.id, subnet.key].includes(named) ||
        subnet.attributes?.publicIps.some((address) => formatIp(address) === named),
    );
  const [only, ...others] = found;
  if (only && others.length === 0) return only;
  const names = [...view.nodes()].map(({ name }) => name).sort();
  throw new LeaseError(
    'no-such-node',
    only
      ? `${found.length} nodes are called ${named}: name one by its subnet, ${found.map(({ subnet }) => subnet.key).join(' or ')}`
      : `no node is called ${named}: there are ${names.join(', ') || 'none'}; a subnet's key does as well`,
  );
}

async function viewOf(store: LeaseStore, signal: AbortSignal): Promise<ClusterView> {
  const view = new ClusterView();
  view.apply({ type: 'list', ...(await store.list(signal)) });
  return view;
}
