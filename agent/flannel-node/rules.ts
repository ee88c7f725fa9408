/** flannel's firewall rules on a node: tables of its nftables mode, chains of its iptables mode (iptables-nft). */
import { runNft } from '../../kernel/nft/run.ts';

interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expr: readonly Readonly<Record<string, unknown>>[];
}

interface Listed {
  readonly table?: { readonly family: string; readonly name: string };
  readonly chain?: { readonly family: string; readonly table: string; readonly name: string };
  readonly rule?: Rule;
}

const tables: ReadonlySet<string> = new Set(['flannel-ipv4', 'flannel-ipv6']);
const chains: ReadonlySet<string> = new Set(['FLANNEL-POSTRTG', 'FLANNEL-FWD']);

/** Removes them in one transaction; returns what was removed. Rules of iptables-legacy are not seen. */
export function removeFlannelRules(): string[] {
  const { nftables } = JSON.parse(runNft(['-j', 'list', 'ruleset'])) as { nftables: Listed[] };
  const plan = planRemoval(nftables);
  if (plan.commands.length > 0) runNft(['-f', '-'], `${plan.commands.join('\n')}\n`);
  return plan.removed;
}

/** Jumps go before the chains that they lead to. Pure. */
export function planRemoval(listed: readonly Listed[]): { commands: string[]; removed: string[] } {
  const own = listed.flatMap(({ table }) =>
    table && tables.has(table.name) ? [`${table.family} ${table.name}`] : [],
  );
  const within = listed.flatMap(({ chain }) =>
    chain && chains.has(chain.name) ? [`${chain.family} ${chain.table} ${chain.name}`] : [],
  );
  const jumps = listed.flatMap(({ rule }) => (rule && jumpsToFlannel(rule) ? [rule] : []));
  return {
    commands: [
      ...jumps.map(
        ({ family, table, chain, handle }) => `delete rule ${family} ${table} ${chain} handle ${handle}`,
      ),
      ...within.map((chain) => `flush chain ${chain}`),
      ...within.map((chain) => `delete chain ${chain}`),
      ...own.map((table) => `delete table ${table}`),
    ],
    removed: [...own.map((table) => `table ${table}`), ...within.map((chain) => `chain ${chain}`)],
  };
}

const jumpsToFlannel = (rule: Rule): boolean =>
  rule.expr.some(({ jump }) => chains.has((jump as { target?: string } | undefined)?.target ?? ''));
