/** What becomes of a packet at a rule of somebody else's. */
import { type Expression, expressionsOf } from '../../kernel/nft/expression.ts';
import type { Rule } from '../../kernel/nft/state.ts';

/** Expressions that match nothing and decide nothing; a load whose value nobody looks at (iptables' `-i +`) is one. */
const neutral: ReadonlySet<string> = new Set(['counter', 'log', 'meta']);

const isNeutral = (expression: Expression): boolean =>
  neutral.has(expression.name) || expression.comment !== undefined;

/**
 * Whether the rule's last word is that one. For `drop` (or a reject) the rule must be unconditional: only then
 * nothing gets past it. For `accept` conditions are what makes it a passage.
 */
export function endsTraffic(rule: Rule, how: 'accept' | 'drop'): boolean {
  const expressions = expressionsOf(rule.expressions);
  const last = expressions.at(-1);
  if (how === 'accept') return last?.verdict?.kind === 'accept';
  const drops =
    last?.verdict?.kind === 'drop' ||
    last?.name === 'reject' ||
    (last?.target !== undefined && ['DROP', 'REJECT'].includes(last.target));
  return drops && expressions.slice(0, -1).every(isNeutral);
}

/** Whether every packet leaves the chain at this rule, or is accepted by it. */
export function letsAllPass(rule: Rule): boolean {
  const expressions = expressionsOf(rule.expressions);
  const kind = expressions.at(-1)?.verdict?.kind;
  return (kind === 'accept' || kind === 'return') && expressions.slice(0, -1).every(isNeutral);
}

/** The chain to which the rule sends every packet; undefined for a rule with a condition. */
export function jumpTarget(rule: Rule): string | undefined {
  const expressions = expressionsOf(rule.expressions);
  const last = expressions.at(-1);
  if (!expressions.slice(0, -1).every(isNeutral)) return undefined;
  return last?.verdict?.kind === 'jump' || last?.verdict?.kind === 'goto' ? last.verdict.chain : undefined;
}
