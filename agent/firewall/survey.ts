/** Reads other firewalls: their base chains that see what has to get through, and what these jump to. */
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { chains, rules } from '../../kernel/nft/state.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import { type ForeignChain, isCandidate } from './foreign.ts';
import { jumpTarget } from './verdict.ts';

export function surveyForeign(nfnl: Nfnl): ForeignChain[] {
  const candidates = chains(nfnl).filter((chain) => isCandidate(chain, inetTable.table));
  return candidates.map((chain) => {
    const own = rules(nfnl, { ...chain, chain: chain.name });
    const targets = new Set(own.map(jumpTarget).filter((target) => target !== undefined));
    const jumps = [...targets].map((target) => [target, rules(nfnl, { ...chain, chain: target })] as const);
    return { chain, rules: own, jumps: new Map(jumps) };
  });
}
