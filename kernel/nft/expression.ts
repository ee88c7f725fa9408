/** The expressions of a rule, as far as a reader of other firewalls' rules needs them. */

import { parseAttributes } from 'netlink/dist/structs.js';
import { partsOf } from '../netlink/parts.ts';
import { textOf } from './nfnetlink.ts';

export interface Expression {
  /** `counter`, `payload`, `cmp`, `immediate`, `reject`, `target` (an iptables extension) … */
  readonly name: string;
  /** For an immediate: what becomes of the packet. */
  readonly verdict: Verdict | undefined;
  /** For an iptables target: its name, such as `REJECT`. */
  readonly target: string | undefined;
  /** For an iptables `comment` match: the text. */
  readonly comment: string | undefined;
  /** What is loaded into a register; undefined for expressions that load nothing. */
  readonly load: Load | undefined;
  /** For cmp: what the register is compared with, and whether it has to differ. */
  readonly compared: { readonly not: boolean; readonly value: Buffer } | undefined;
  /** For bitwise: the mask. */
  readonly mask: Buffer | undefined;
  /** For an iptables match: its name, such as `conntrack`, and its parameters as the extension lays them out. */
  readonly match: { readonly name: string; readonly info: Buffer } | undefined;
}

/** `l4proto`, `nfproto` and `ct-state` say what kind of packet it is; anything else is `other`. */
export type Load = 'l4proto' | 'nfproto' | 'ct-state' | 'other';

export interface Verdict {
  readonly kind: 'accept' | 'drop' | 'jump' | 'goto' | 'return' | 'other';
  /** The chain, for jump and goto. */
  readonly chain: string | undefined;
}

/** Reads NFTA_RULE_EXPRESSIONS. */
export function expressionsOf(bytes: Buffer): Expression[] {
  const found: Expression[] = [];
  parseAttributes(bytes, ({ data }) => {
    const parts = partsOf(data);
    const name = textOf(parts.get(NFTA_EXPR_NAME) ?? Buffer.alloc(0));
    const inner = partsOf(parts.get(NFTA_EXPR_DATA) ?? Buffer.alloc(0));
    const extension = textOf(inner.get(NFTA_TARGET_NAME) ?? Buffer.alloc(0));
    const info = inner.get(NFTA_TARGET_INFO);
    const isMatch = name === 'match';
    found.push({
      name,
      verdict: name === 'immediate' ? verdictOf(inner.get(NFTA_IMMEDIATE_DATA)) : undefined,
      target: name === 'target' ? extension : undefined,
      comment: isMatch && extension === 'comment' && info ? textOf(info) : undefined,
      load: loadOf(name, inner),
      compared: name === 'cmp' ? comparisonOf(inner) : undefined,
      mask: name === 'bitwise' ? valueIn(inner.get(NFTA_BITWISE_MASK)) : undefined,
      match: isMatch ? { name: extension, info: info ?? Buffer.alloc(0) } : undefined,
    });
  });
  return found;
}

type Parts = ReadonlyMap<number, Buffer>;
const numberAt = (parts: Parts, type: number): number | undefined => parts.get(type)?.readUInt32BE(0);
const valueIn = (data: Buffer | undefined): Buffer | undefined => data && partsOf(data).get(NFTA_DATA_VALUE);

function loadOf(name: string, parts: Parts): Load | undefined {
  if (name === 'meta') {
    if (!parts.has(NFTA_META_DREG)) return undefined;
    return metaLoads.get(numberAt(parts, NFTA_META_KEY) ?? -1) ?? 'other';
  }
  if (name === 'ct') return numberAt(parts, NFTA_CT_KEY) === NFT_CT_STATE ? 'ct-state' : 'other';
  if (name === 'payload') return isProtocolField(parts) ? 'l4proto' : 'other';
  return loads.has(name) ? 'other' : undefined;
}

/** The protocol of an IPv4 header, or the next header of an IPv6 one. */
function isProtocolField(parts: Parts): boolean {
  const base = numberAt(parts, NFTA_PAYLOAD_BASE);
  const offset = numberAt(parts, NFTA_PAYLOAD_OFFSET);
  const bytes = numberAt(parts, NFTA_PAYLOAD_LEN);
  return base === NFT_PAYLOAD_NETWORK_HEADER && bytes === 1 && (offset === 9 || offset === 6);
}

function comparisonOf(parts: Parts): Expression['compared'] {
  const value = valueIn(parts.get(NFTA_CMP_DATA));
  return value && { not: numberAt(parts, NFTA_CMP_OP) !== NFT_CMP_EQ, value };
}

function verdictOf(data: Buffer | undefined): Verdict | undefined {
  const verdict = data && partsOf(data).get(NFTA_DATA_VERDICT);
  if (!verdict) return undefined;
  const parts = partsOf(verdict);
  const chain = parts.get(NFTA_VERDICT_CHAIN);
  return {
    kind: verdictKinds.get(parts.get(NFTA_VERDICT_CODE)?.readInt32BE() ?? 0) ?? 'other',
    chain: chain && textOf(chain),
  };
}

/** NF_DROP, NF_ACCEPT and NFT_* (linux/netfilter.h, enum nft_verdicts). */
const verdictKinds: ReadonlyMap<number, Verdict['kind']> = new Map([
  [0, 'drop'],
  [1, 'accept'],
  [-3, 'jump'],
  [-4, 'goto'],
  [-5, 'return'],
]);

/** Other expressions that load something of the packet (linux/netfilter/nf_tables.h). */
const loads: ReadonlySet<string> = new Set([
  'exthdr',
  'fib',
  'hash',
  'numgen',
  'osf',
  'rt',
  'socket',
  'tunnel',
  'xfrm',
]);
/** NFT_META_NFPROTO and NFT_META_L4PROTO. */
const metaLoads: ReadonlyMap<number, Load> = new Map([
  [15, 'nfproto'],
  [16, 'l4proto'],
]);
const NFT_CT_STATE = 0;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFT_CMP_EQ = 0;
const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFTA_CT_KEY = 2;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFTA_BITWISE_MASK = 4;
const NFTA_DATA_VALUE = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
/** A match's attributes have the same numbers. */
const NFTA_TARGET_NAME = 1;
const NFTA_TARGET_INFO = 3;
