/**
 * Taking links away. The kernel is quick about it and slow to return (an RCU grace period, 13-25 ms), so a
 * process with other things to do hands in a `RemoveLinks` that waits elsewhere.
 */
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkRequest } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';

/** Resolves once none of the links exists any more; one that is gone already is no error. */
export type RemoveLinks = (indexes: readonly number[]) => Promise<void>;

/** Blocks until they are gone. Several go as one group, in one grace period. */
export function removeLinksNow(rtnl: Rtnl, indexes: readonly number[]): void {
  const [first] = indexes;
  if (first === undefined) return;
  const requests = indexes.length === 1 ? [link.remove({ index: first })] : asGroup(indexes);
  for (const refusal of rtnl.attempt(requests)) {
    if (refusal && !failedWith(refusal, 'ENODEV')) throw refusal;
  }
}

function asGroup(indexes: readonly number[]): NetlinkRequest[] {
  const group = 0x4000_0000 + Math.floor(Math.random() * 0x2000_0000);
  return [...indexes.map((index) => link.set({ index, group })), link.remove({ group })];
}
