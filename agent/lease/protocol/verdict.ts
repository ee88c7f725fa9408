/** Whose a subnet is, by its records. */

import { subnetsFolder } from '../flannel/key.ts';
import type { LeaseStore } from '../store/store.ts';
import { ClusterView } from '../view/view.ts';
import { recordKeys } from './claim.ts';
import type { Claimant } from './decide.ts';
import type { Held } from './standing.ts';

/** Whether these records say that it is ours, in that session. */
export function seemsOurs(view: ClusterView, us: Claimant, held: Held): boolean {
  const node = view.node(us.id);
  const record = view.records.get(subnetsFolder + held.key);
  return (
    node?.run === us.run &&
    node.subnet === held.key &&
    record !== undefined &&
    (record.session === undefined || record.session === held.session)
  );
}

/** The records of a node's lease as the store has them now. */
export async function readLease(at: {
  store: LeaseStore;
  key: string;
  nodeId: string;
  signal: AbortSignal;
}): Promise<ClusterView> {
  const view = new ClusterView();
  const records = await at.store.read(recordKeys(at.key, at.nodeId), at.signal);
  view.apply({ type: 'list', records, cursor: '' });
  return view;
}

/** Of `readLease`: `ours`, `left` if we were told to leave, or what happened in words. */
export function verdictOf(fresh: ClusterView, us: Claimant, key: string): string {
  const { id, run } = us;
  const node = fresh.node(id);
  if (node?.session !== undefined && seemsOurs(fresh, us, { key, session: node.session })) return 'ours';
  const mark = fresh.released(key);
  if (mark?.id === id && mark.run === run) return 'left';
  if (node && node.run !== run) {
    return `another agent with our node id ${id} took it: was this machine cloned with its state directory?`;
  }
  return fresh.subnet(key) ? 'another node took it' : 'somebody deleted it';
}
