/**
 * Other firewalls of the host. A packet passes only where *every* chain of a hook lets it: an accept of weft does not
 * overrule the drop of Docker, firewalld, ufw or of an operator's own rules. So where a chain ends in a drop, one rule
 * goes into it that accepts packets with weft's mark. It is known by its comment, put back, and removed by cleanup.
 *
 * Pods' packets are let past the chain's end only: what it drops by name (DOCKER-USER, a network policy) stays
 * dropped. firewalld decides inside its zones, so there the rule comes first; so it does where the node itself sends
 * and receives, as the mark is only on packets of the tunnel there, and on those that IPv6 cannot do without.
 */
import type { Chain, Rule, TableName } from '../../kernel/nft/state.ts';
import { barrierIn, type RuleKind } from './barrier.ts';
import { hasMark } from './mark.ts';
import { accepts, isOurs, kindOf, ourComment } from './verdict.ts';

/** NF_INET_* (linux/netfilter.h). */
const hooks = { input: 1, forward: 2, output: 3 } as const;
export type Hook = keyof typeof hooks;

/** Where packets with weft's mark have to get through. */
export interface Passage {
  readonly hook: Hook;
  /** Families of tables whose chains see these packets. */
  readonly families: readonly TableName['family'][];
}

/** The comment of the rule in another firewall's chain; earlier versions' differ and are replaced. */
export const PASSAGE_COMMENT = ourComment('packets that weft lets through');

/** A base chain of another firewall, with its rules and those of the chains that it leads every packet to. */
export interface ForeignChain {
  readonly chain: Chain;
  readonly rules: readonly Rule[];
  readonly jumps: ReadonlyMap<string, readonly Rule[]>;
}

/** What is to be done to one chain. */
export interface ForeignPlan {
  /** nft's language; a transaction of its own, so that a chain that refuses does not keep the others out. */
  readonly commands: string;
  /** What and why, for logs. */
  readonly reasons: readonly string[];
}

/** Whether a base chain may hold a rule of weft. */
export const isCandidate = (chain: Chain, ownTable: string): boolean =>
  chain.table !== ownTable &&
  chain.type === 'filter' &&
  ['inet', 'ip', 'ip6'].includes(chain.family) &&
  Object.values(hooks).some((hook) => hook === chain.hook);

/** What is to be done, by chain, to other firewalls so that the passages are open and no rule of weft is left over. */
export function planForeign(
  passages: readonly Passage[],
  foreign: readonly ForeignChain[],
): ReadonlyMap<string, ForeignPlan> {
  const plans = new Map<string, ForeignPlan>();
  for (const each of foreign) {
    const steps = planChain(
      each,
      passages.find((passage) => isNeeded(passage, each)),
    );
    if (steps.length === 0) continue;
    plans.set(nameOf(each.chain), {
      commands: steps.map(({ command }) => `${command}\n`).join(''),
      reasons: steps.map(({ reason }) => reason),
    });
  }
  return plans;
}

const nameOf = (chain: Pick<Chain, 'family' | 'table' | 'name'>): string =>
  `${chain.family} ${chain.table} ${chain.name}`;

/** The chain and those that it leads every packet to, each as `ip filter FORWARD`. */
export const chainsOf = ({ chain, jumps }: ForeignChain): string[] =>
  [chain.name, ...jumps.keys()].map((name) => nameOf({ ...chain, name }));

function isNeeded({ hook, families }: Passage, foreign: ForeignChain): boolean {
  const { chain } = foreign;
  if (chain.hook !== hooks[hook] || !families.includes(chain.family)) return false;
  return chain.policy === 'drop' || barrierOf(foreign) !== undefined;
}

function barrierOf({ rules, jumps }: ForeignChain): number | undefined {
  const chainOf = (name: string): RuleKind[] => (jumps.get(name) ?? []).map(kindOf);
  return barrierIn(rules.map(kindOf), chainOf);
}

interface Step {
  readonly command: string;
  readonly reason: string;
}

/** A rule counts as there only where it is reached: a barrier put before it makes it void. */
function planChain(foreign: ForeignChain, wanted: Passage | undefined): Step[] {
  const { chain, rules } = foreign;
  const id = nameOf(chain);
  const steps: Step[] = [];
  const barrier = barrierOf(foreign) ?? rules.length;
  let present = false;
  rules.forEach((rule, i) => {
    if (!isOurs(rule)) return;
    const isRight = wanted && rule.comment === PASSAGE_COMMENT;
    if (isRight && !present && i < barrier && accepts(rule)) {
      present = true;
      return;
    }
    const why = isRight ? 'is out of place' : 'is not needed';
    steps.push({
      command: `delete rule ${id} handle ${rule.handle}`,
      reason: `${id}: ${rule.comment} ${why}`,
    });
  });
  if (wanted && !present) {
    steps.push({
      command: `${placeOf(foreign, wanted)} ${hasMark} counter accept comment "${PASSAGE_COMMENT}"`,
      reason: `${id}: ${PASSAGE_COMMENT} missing`,
    });
  }
  return steps;
}

function placeOf(foreign: ForeignChain, { hook }: Passage): string {
  const { chain, rules } = foreign;
  const id = nameOf(chain);
  if (hook !== 'forward' || chain.table === 'firewalld') return `insert rule ${id}`;
  const barrier = barrierOf(foreign);
  const before = barrier === undefined ? undefined : rules[barrier];
  return before ? `insert rule ${id} position ${before.handle}` : `add rule ${id}`;
}
