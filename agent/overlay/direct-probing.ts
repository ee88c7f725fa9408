/**
 * What probing the direct way takes (backend `auto`): a rule that leads marked packets to their own table, and
 * reverse-path filters that let a packet come in on either way while the two ends have not both changed yet.
 */
import { failedWith } from '../../kernel/errors.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as rule from '../../kernel/rule.ts';
import { ensureSysctl, readSysctl } from '../../kernel/sysctl.ts';
import { deviceName } from './device.ts';
import { DIRECT_TABLE } from './entry.ts';
import type { OverlayState } from './overlay.ts';

/** The mark of a probe of the direct way: "weft" in ASCII, for it must be nobody else's. */
export const DIRECT_PROBE_MARK = 0x77656674;
const RULE_PRIORITY = 8787;

/** Returns what was changed, in words. In other modes it takes the rule away. */
export function ensureDirectProbing(rtnl: Rtnl, state: OverlayState): string[] {
  const { family } = state.network;
  const wanted = { family, mark: DIRECT_PROBE_MARK, table: DIRECT_TABLE, priority: RULE_PRIORITY };
  const there = rule.ourRules(rtnl, family);
  const isWanted = (found: rule.MarkRule) =>
    found.mark === wanted.mark && found.table === wanted.table && found.priority === wanted.priority;
  const auto = state.backend.type === 'auto';
  const done: string[] = [];
  for (const stale of there.filter((found) => !auto || !isWanted(found))) {
    const [refusal] = rtnl.attempt([rule.remove(stale)]);
    if (refusal && !failedWith(refusal, 'ENOENT')) throw refusal;
    done.push(`remove rule ${stale.priority}`);
  }
  if (auto && !there.some(isWanted)) {
    rtnl.execute([rule.add(wanted)]);
    done.push(`add rule ${wanted.priority}`);
  }
  if (auto && family === 'ipv4') {
    done.push(...loosen(state.underlay.name), ...loosen(deviceName(family, state.backend.vni)));
  }
  return done;
}

/** Strict filtering (1) of either `all` or the interface becomes loose (2) on the interface; off stays off. */
function loosen(name: string): string[] {
  const key = `net/ipv4/conf/${name}/rp_filter`;
  const strict = [readSysctl('net/ipv4/conf/all/rp_filter'), readSysctl(key)].includes('1');
  const before = strict ? ensureSysctl(key, '2') : undefined;
  return before === undefined ? [] : [`${key}: ${before} -> 2`];
}
