/**
 * What has to be done to the filter table of iptables-legacy so that packets with weft's mark pass. nftables knows
 * nothing of these rules: the kernel runs both, and each can drop.
 */
import { barrierIn } from '../barrier.ts';
import { type Hook, PASSAGE_COMMENT } from '../foreign.ts';
import { PASS_MARK } from '../mark.ts';
import type { LegacyRule, LegacyTable } from './rules.ts';

export interface LegacyStep {
  /** Arguments of `iptables-legacy`. */
  readonly args: readonly string[];
  readonly reason: string;
}

const hookChains: Readonly<Record<Hook, string>> = { forward: 'FORWARD', input: 'INPUT', output: 'OUTPUT' };

/** `hooks`: where packets with the mark have to get through; `program`: for the reasons. */
export function planLegacy(table: LegacyTable, hooks: ReadonlySet<Hook>, program: string): LegacyStep[] {
  return (Object.keys(hookChains) as Hook[]).flatMap((hook) =>
    planChain(table, hook, hooks.has(hook), program),
  );
}

function planChain(table: LegacyTable, hook: Hook, isWanted: boolean, program: string): LegacyStep[] {
  const chain = hookChains[hook];
  const rules = table.chains.get(chain) ?? [];
  const kinds = (of: readonly LegacyRule[]) => of.map(({ kind }) => kind);
  const barrier = barrierIn(kinds(rules), (name) => kinds(table.chains.get(name) ?? []));
  const isNeeded = isWanted && (table.policies.get(chain) === 'DROP' || barrier !== undefined);
  const end = barrier ?? rules.length;
  const ours = rules.flatMap(({ kind }, i) => (kind.kind === 'ours' ? [i] : []));
  const kept = isNeeded ? ours.find((i) => i < end && rules[i]?.comment === PASSAGE_COMMENT) : undefined;
  const stale = ours.filter((i) => i !== kept);
  const steps = stale.toReversed().map((i) => ({
    args: ['-D', chain, String(i + 1)],
    reason: `${program} ${chain}: ${rules[i]?.comment} ${isNeeded ? 'is out of place' : 'is not needed'}`,
  }));
  if (!isNeeded || kept !== undefined) return steps;
  const place = hook === 'forward' ? end - stale.filter((i) => i < end).length + 1 : 1;
  const rule = [
    '-m',
    'mark',
    '--mark',
    `${PASS_MARK}/${PASS_MARK}`,
    '-m',
    'comment',
    '--comment',
    PASSAGE_COMMENT,
  ];
  return [
    ...steps,
    {
      args: ['-I', chain, String(place), ...rule, '-j', 'ACCEPT'],
      reason: `${program} ${chain}: ${PASSAGE_COMMENT} missing`,
    },
  ];
}
