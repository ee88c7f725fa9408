/** The expressions of a rule, as far as whoever reads other people's rules needs them. */

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
}

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
    found.push({
      name,
      verdict: name === 'immediate' ? verdictOf(inner.get(NFTA_IMMEDIATE_DATA)) : undefined,
      target: name === 'target' ? extension : undefined,
      comment: name === 'match' && extension === 'comment' && info ? textOf(info) : undefined,
    });
  });
  return found;
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

const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
/** A match's attributes have the same numbers. */
const NFTA_TARGET_NAME = 1;
const NFTA_TARGET_INFO = 3;
