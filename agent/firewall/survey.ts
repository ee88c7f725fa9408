/** Reads other firewalls: their base chains that see what has to get through, and all that these lead every packet to. */
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { chains, type Rule, rules } from '../../kernel/nft/state.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import { type ForeignChain, isCandidate } from './foreign.ts';
import { kindOf } from './verdict.ts';

export function surveyForeign(nfnl: Nfnl): ForeignChain[] {
  const candidates = chains(nfnl).filter((chain) => isCandidate(chain, inetTable.table));
  return candidates.map((chain) => {
    const read = (name: string): Rule[] => rules(nfnl, { ...chain, chain: name });
    const own = read(chain.name);
    const jumps = new Map<string, readonly Rule[]>();
    const follow = (from: readonly Rule[]): void => {
      for (const rule of from) {
        const kind = kindOf(rule);
        if (kind.kind !== 'jump' || jumps.has(kind.chain)) continue;
        const target = kind.chain;
        const inner = read(target);
        jumps.set(target, inner);
        follow(inner);
      }
    };
    follow(own);
    return { chain, rules: own, jumps };
  });
}
