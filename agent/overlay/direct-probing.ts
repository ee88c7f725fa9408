/** What probing the direct way takes (backend `auto`): a rule that leads marked packets to their own table. */
import { failedWith } from '../../kernel/errors.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as rule from '../../kernel/rule.ts';
import { DIRECT_TABLE } from './entry.ts';
import type { OverlayState } from './state.ts';

/** The mark of a probe of the direct way: "weft" in ASCII, so that no other program uses it. */
export const DIRECT_PROBE_MARK = 0x77656674;
const RULE_PRIORITY = 8787;

/** Rules too many, and the one that is missing. */
function planRules(rtnl: Rtnl, state: OverlayState): { stale: rule.MarkRule[]; missing: rule.MarkRule[] } {
  const { family } = state.network;
  const desired = { family, mark: DIRECT_PROBE_MARK, table: DIRECT_TABLE, priority: RULE_PRIORITY };
  const isDesired = (found: rule.MarkRule) =>
    found.mark === desired.mark && found.table === desired.table && found.priority === desired.priority;
  const there = rule.ourRules(rtnl, family);
  const auto = state.backend.type === 'auto';
  return {
    stale: there.filter((found) => !auto || !isDesired(found)),
    missing: auto && !there.some(isDesired) ? [desired] : [],
  };
}

/** What `ensureDirectProbing` would do, in words. */
export function previewDirectProbing(rtnl: Rtnl, state: OverlayState): string[] {
  const { stale, missing } = planRules(rtnl, state);
  return [
    ...missing.map(({ priority }) => `add rule ${priority}`),
    ...stale.map(({ priority }) => `remove rule ${priority}`),
  ];
}

/** Returns what was changed, in words. In modes other than `auto` it takes the rule away. */
export function ensureDirectProbing(rtnl: Rtnl, state: OverlayState): string[] {
  const { stale, missing } = planRules(rtnl, state);
  rtnl.execute(missing.map(rule.add));
  const refusals = rtnl.attempt(stale.map(rule.remove));
  for (const refusal of refusals) if (refusal && !failedWith(refusal, 'ENOENT')) throw refusal;
  return [
    ...missing.map(({ priority }) => `add rule ${priority}`),
    ...stale.map(({ priority }) => `remove rule ${priority}`),
  ];
}
