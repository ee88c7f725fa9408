/**
 * Where a chain of another firewall lets nothing further: what is not accepted before that point is lost. Pure, and
 * the same for nftables and for iptables-legacy.
 *
 * A rule that drops *by name* (an address, a port, an interface) is an operator's decision and stays in force. One
 * that drops all of TCP, all of UDP, or every new connection is the end of the chain for what it does not know, as is
 * one that drops everything.
 */

/** What becomes of packets at a rule. */
export type RuleKind =
  /** A rule of weft. */
  | { readonly kind: 'ours' }
  /** All of them end here, or all of TCP, of UDP, or of new connections. */
  | { readonly kind: 'stop' }
  /** All of one other protocol end here. */
  | { readonly kind: 'stop-some' }
  /** All of them are accepted or leave the chain. */
  | { readonly kind: 'leave' }
  /** All of them (or all of TCP, of UDP, or of new connections) go through another chain. */
  | { readonly kind: 'jump'; readonly chain: string }
  /** Nothing: it counts or logs. */
  | { readonly kind: 'none' }
  /** It decides about some packets that it names. */
  | { readonly kind: 'other' };

/**
 * The index of the rule before which packets have to be accepted; undefined where the chain's end is reached. Chains
 * have no loops. `chainOf`: the rules of a chain that is jumped to.
 */
export function barrierIn(
  rules: readonly RuleKind[],
  chainOf: (name: string) => readonly RuleKind[],
): number | undefined {
  const index = rules.findIndex((rule) => rule.kind === 'leave' || isBarrier(rule, chainOf));
  const found = rules[index];
  if (!found || found.kind === 'leave') return undefined;
  let first = index;
  for (let i = index - 1; i >= 0 && isTail(rules[i]); i--) if (rules[i]?.kind === 'stop-some') first = i;
  return first;
}

/** The rules of a tail stand together: `-p icmp REJECT`, `-p tcp REJECT`, `REJECT`. */
const isTail = (rule: RuleKind | undefined): boolean => rule?.kind === 'stop-some' || rule?.kind === 'none';

function isBarrier(rule: RuleKind, chainOf: (name: string) => readonly RuleKind[]): boolean {
  if (rule.kind === 'stop') return true;
  return rule.kind === 'jump' && barrierIn(chainOf(rule.chain), chainOf) !== undefined;
}
