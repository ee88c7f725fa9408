/** The firewall as it was found: our tables gone, and every rule of ours in chains of others. */
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import { readTable } from '../../kernel/nft/state.ts';
import { bridgeTable, inetTable } from '../../plugin/attach/table.ts';
import { planForeign } from './foreign.ts';
import { ensureLegacy } from './legacy/legacy.ts';
import { surveyForeign } from './survey.ts';

/** Removes all that is ours, in the caller's namespace; returns what was removed, in words. */
export function teardownFirewall(nfnl: Nfnl): string[] {
  const removed: string[] = [];
  for (const { commands, reasons } of planForeign([], surveyForeign(nfnl)).values()) {
    applyRules(commands);
    removed.push(...reasons);
  }
  const legacy = ensureLegacy([]);
  removed.push(...legacy.done);
  for (const name of [inetTable, bridgeTable]) {
    if (!readTable(nfnl, name)) continue;
    applyRules(`delete table ${name.family} ${name.table}\n`);
    removed.push(`table ${name.family} ${name.table}`);
  }
  return removed;
}
