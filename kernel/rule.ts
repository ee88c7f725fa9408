/** Policy routing rules: request builders and a reader (linux/fib_rules.h). */
import { formatRuleMessage, parseRuleMessage } from 'netlink/dist/rt/structs.js';
import { putU8 } from 'netlink/dist/structs.js';
import type { Family } from '../inet/ip.ts';
import {
  bodyOf,
  formatAttributes,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from './netlink/message.ts';
import { afOf, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, type Rtnl } from './netlink/rtnl.ts';
import { RTPROT_WEFT } from './route.ts';

/** "Packets with this mark look up that table." */
export interface MarkRule {
  readonly family: Family;
  readonly mark: number;
  readonly table: number;
  /** A lower one is applied first. */
  readonly priority: number;
}

/** Adds a rule of weft's protocol; EEXIST where it stands. */
export const add = (rule: MarkRule): NetlinkRequest =>
  request('add', RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);

/** Removes a rule; ENOENT where there is none like it. */
export const remove = (rule: MarkRule): NetlinkRequest => request('remove', RTM_DELRULE, 0, rule);

function request(verb: string, type: number, flags: number, rule: MarkRule): NetlinkRequest {
  const message = bodyOf((out) =>
    formatRuleMessage(
      {
        kind: 'rule',
        data: { family: afOf(rule.family), action: FR_ACT_TO_TBL },
        attrs: { priority: rule.priority, fwmark: rule.mark, fwmask: 0xffff_ffff, table: rule.table },
      },
      out,
    ),
  );
  const body = Buffer.concat([message, formatAttributes([[FRA_PROTOCOL, putU8(RTPROT_WEFT)]])]);
  const attempted = `${verb} rule ${rule.priority}: mark 0x${rule.mark.toString(16)} looks up table ${rule.table}`;
  return { type, flags, body, attempted: () => attempted };
}

/** The rules of one family that are of weft's protocol. */
export function ourRules(rtnl: Rtnl, family: Family): MarkRule[] {
  const body = bodyOf((out) =>
    formatRuleMessage({ kind: 'rule', data: { family: afOf(family) }, attrs: {} }, out),
  );
  const messages = rtnl.dump({ type: RTM_GETRULE, flags: 0, body, attempted: () => `list ${family} rules` });
  return messages.flatMap((message) => {
    const { attrs } = parseRuleMessage(message.body);
    if (protocolOf(message.body) !== RTPROT_WEFT || attrs.fwmark === undefined) return [];
    return { family, mark: attrs.fwmark, table: attrs.table ?? 0, priority: attrs.priority ?? 0 };
  });
}

/** FRA_PROTOCOL, which node-netlink's codec does not support. */
function protocolOf(body: Buffer): number | undefined {
  for (let offset = RULE_HEADER_BYTES; offset + 4 <= body.length; ) {
    const length = body.readUInt16LE(offset);
    if (length < 4) return undefined;
    if (body.readUInt16LE(offset + 2) === FRA_PROTOCOL) return body.readUInt8(offset + 4);
    offset += (length + 3) & ~3;
  }
  return undefined;
}

const FR_ACT_TO_TBL = 1;
const FRA_PROTOCOL = 21;
const RULE_HEADER_BYTES = 12;
