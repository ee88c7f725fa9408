/** What becomes of packets at a rule of another firewall in nftables, its own or one that iptables made there. */
import { type Expression, expressionsOf } from '../../kernel/nft/expression.ts';
import type { Rule } from '../../kernel/nft/state.ts';
import type { RuleKind } from './barrier.ts';

/** Expressions that match nothing and decide nothing. */
const neutral: ReadonlySet<string> = new Set(['counter', 'log']);
/** Expressions that only look at what was loaded before. */
const comparisons: ReadonlySet<string> = new Set(['cmp', 'bitwise', 'lookup', 'range']);

export function kindOf(rule: Rule): RuleKind {
  if (isOurs(rule)) return { kind: 'ours' };
  const expressions = expressionsOf(rule.expressions);
  const last = expressions.at(-1);
  const fate = last && fateOf(last);
  if (!fate) return { kind: expressions.every(({ verdict }) => !verdict) ? 'none' : 'other' };
  const reach = reachOf(expressions.slice(0, -1));
  if (reach === 'named') return { kind: 'other' };
  switch (fate.kind) {
    case 'stop':
      return { kind: reach === 'one-protocol' ? 'stop-some' : 'stop' };
    case 'leave':
      return { kind: reach === 'all' ? 'leave' : 'other' };
    default:
      return reach === 'one-protocol' ? { kind: 'other' } : fate;
  }
}

const COMMENT_PREFIX = 'weft: ';
export const isOurs = (rule: Rule): boolean => rule.comment?.startsWith(COMMENT_PREFIX) === true;
export const ourComment = (label: string): string => `${COMMENT_PREFIX}${label}`;

/** Whether the rule accepts, on whatever condition. */
export const accepts = (rule: Rule): boolean =>
  expressionsOf(rule.expressions).at(-1)?.verdict?.kind === 'accept';

type Fate = Extract<RuleKind, { kind: 'stop' | 'leave' | 'jump' }>;

function fateOf({ name, verdict, target }: Expression): Fate | undefined {
  if (name === 'reject' || target === 'REJECT' || target === 'DROP') return { kind: 'stop' };
  switch (verdict?.kind) {
    case 'drop':
      return { kind: 'stop' };
    case 'accept':
    case 'return':
      return { kind: 'leave' };
    case 'jump':
    case 'goto':
      return { kind: 'jump', chain: verdict.chain ?? '' };
    default:
      return undefined;
  }
}

/**
 * Which packets a rule is about: all of them; all of TCP or UDP, or every new connection; all of one other protocol;
 * or packets that it names by something else. A value that is loaded and not looked at (iptables' `-i +`) names none.
 */
function reachOf(expressions: readonly Expression[]): 'all' | 'broad' | 'one-protocol' | 'named' {
  let loaded: Expression['load'];
  let mask: Buffer | undefined;
  let reach: 'all' | 'broad' | 'one-protocol' = 'all';
  for (const expression of expressions) {
    const { name, comment, match, load } = expression;
    if (neutral.has(name) || comment !== undefined) continue;
    if (load) {
      loaded = load;
      mask = undefined;
    } else if (name === 'bitwise') {
      mask = expression.mask;
    } else if (comparisons.has(name)) {
      const narrowed = reachOfComparison(loaded, mask, expression);
      if (narrowed === 'named') return 'named';
      if (narrowed === 'one-protocol' || reach === 'all') reach = narrowed;
    } else if (match && isNewConnections(match)) {
      if (reach === 'all') reach = 'broad';
    } else {
      return 'named';
    }
  }
  return reach;
}

function reachOfComparison(
  load: Expression['load'],
  mask: Buffer | undefined,
  { name, compared }: Expression,
): 'broad' | 'one-protocol' | 'named' {
  switch (load) {
    case 'nfproto':
      return 'broad';
    case 'l4proto':
      if (name === 'lookup' || !compared || compared.not) return 'broad';
      return [IPPROTO_TCP, IPPROTO_UDP].includes(compared.value[0] ?? 0) ? 'broad' : 'one-protocol';
    case 'ct-state':
      return compared && mask && matchesNew(mask, compared) ? 'broad' : 'named';
    default:
      return 'named';
  }
}

/** `ct state new`: the masked state is not 0; `ct state != established`: it is 0, and new is not in the mask. */
function matchesNew(mask: Buffer, { not, value }: { not: boolean; value: Buffer }): boolean {
  const isZero = value.every((byte) => byte === 0);
  const hasNew = ((mask.at(0) ?? 0) & CT_STATE_NEW) !== 0;
  return isZero && hasNew === not;
}

/** struct xt_conntrack_mtinfo3 (linux/netfilter/xt_conntrack.h): only the state is looked at, and new is in it. */
function isNewConnections({ name, info }: { name: string; info: Buffer }): boolean {
  if (name !== 'conntrack' || info.length < XT_CONNTRACK_BYTES) return false;
  const flags = info.readUInt16LE(XT_FLAGS_AT);
  const inverted = (info.readUInt16LE(XT_FLAGS_AT + 2) & XT_CONNTRACK_STATE) !== 0;
  const hasNew = (info.readUInt16LE(XT_FLAGS_AT + 4) & CT_STATE_NEW) !== 0;
  return flags === XT_CONNTRACK_STATE && hasNew !== inverted;
}

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
/** NF_CT_STATE_BIT(IP_CT_NEW), XT_CONNTRACK_STATE_BIT(IP_CT_NEW). */
const CT_STATE_NEW = 8;
const XT_CONNTRACK_STATE = 1;
const XT_FLAGS_AT = 146;
const XT_CONNTRACK_BYTES = 156;
