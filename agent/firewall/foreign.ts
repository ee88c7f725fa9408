/**
 * Other firewalls of the host. A packet passes only where *every* chain of a hook lets it: an accept of ours
 * does not overrule the drop of Docker, firewalld, ufw or of an operator's own rules. So where a chain ends
 * in a drop, rules of ours go into it, each marked by its comment: known again, put back, removed by cleanup.
 *
 * Pods' packets are let past the chain's end only: what it drops by name (DOCKER-USER, a network policy)
 * stays dropped. firewalld decides inside its zones, so there the rules come first.
 */
import type { Chain, Rule, TableName } from '../../kernel/nft/state.ts';
import { endsTraffic, jumpTarget, letsAllPass } from './verdict.ts';

/** NF_INET_LOCAL_IN and NF_INET_FORWARD (linux/netfilter.h). */
const hooks = { input: 1, forward: 2 } as const;
export type Hook = keyof typeof hooks;

/** What has to get through. */
export interface Passage {
  readonly hook: Hook;
  /** Families of tables whose chains see these packets. */
  readonly families: readonly TableName['family'][];
  /** The match in nft's language; `plain` is what iptables can show as well. */
  readonly match: string;
  readonly plain: string;
  /** Identifies the rule, as the comment `weft: LABEL`. */
  readonly label: string;
}

/** A base chain of somebody else's, with its rules and those of the chains that it leads every packet to. */
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

const COMMENT_PREFIX = 'weft: ';
export const isOurs = (rule: Rule): boolean => rule.comment?.startsWith(COMMENT_PREFIX) === true;
const commentOf = (passage: Passage): string => `${COMMENT_PREFIX}${passage.label}`;

/** Whether a base chain may hold rules of ours. */
export const isCandidate = (chain: Chain, ownTable: string): boolean =>
  chain.table !== ownTable &&
  chain.type === 'filter' &&
  ['inet', 'ip', 'ip6'].includes(chain.family) &&
  Object.values(hooks).some((hook) => hook === chain.hook);

/**
 * What is to be done, by chain, to other firewalls so that the passages are open and no rule of ours is too
 * many.
 */
export function planForeign(
  passages: readonly Passage[],
  foreign: readonly ForeignChain[],
): ReadonlyMap<string, ForeignPlan> {
  const plans = new Map<string, ForeignPlan>();
  for (const each of foreign) {
    const steps = planChain(
      each,
      passages.filter((passage) => isNeeded(passage, each)),
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

function isNeeded(passage: Passage, { chain, rules, jumps }: ForeignChain): boolean {
  if (chain.hook !== hooks[passage.hook] || !passage.families.includes(chain.family)) return false;
  return chain.policy === 'drop' || barrierAt(rules, jumps) !== undefined;
}

interface Step {
  readonly command: string;
  readonly reason: string;
}

/** A rule counts as there only where it is reached: a barrier put before it makes it void. */
function planChain(foreign: ForeignChain, wanted: readonly Passage[]): Step[] {
  const { chain, rules, jumps } = foreign;
  const id = nameOf(chain);
  const steps: Step[] = [];
  const comments = new Map(wanted.map((passage) => [commentOf(passage), passage]));
  const barrier = barrierAt(rules, jumps) ?? rules.length;
  const present = new Set<string>();
  rules.forEach((rule, i) => {
    if (!isOurs(rule)) return;
    const comment = rule.comment ?? '';
    if (comments.has(comment) && !present.has(comment) && i < barrier && isAccept(rule)) {
      present.add(comment);
      return;
    }
    const why = comments.has(comment) ? 'is out of place' : 'is not needed';
    steps.push({ command: `delete rule ${id} handle ${rule.handle}`, reason: `${id}: ${comment} ${why}` });
  });
  for (const [comment, passage] of comments) {
    if (present.has(comment)) continue;
    const match = isManagedByIptables(chain) ? passage.plain : passage.match;
    const rule = `${match} counter accept comment "${comment}"`;
    steps.push({
      command: `${placeOf(foreign, passage)} ${rule}`,
      reason: `${id}: ${comment} missing`,
    });
  }
  return steps;
}

const isAccept = (rule: Rule): boolean => endsTraffic(rule, 'accept');

/** The index of the first rule that lets nothing past it, be it by a jump, through however many chains. */
function barrierAt(rules: readonly Rule[], jumps: ForeignChain['jumps']): number | undefined {
  const index = rules.findIndex((rule) => letsAllPass(rule) || isBarrier(rule, jumps));
  const rule = rules[index];
  return rule && isBarrier(rule, jumps) ? index : undefined;
}

/** The kernel has no loops among chains. */
function isBarrier(rule: Rule, jumps: ForeignChain['jumps']): boolean {
  if (isOurs(rule)) return false;
  if (endsTraffic(rule, 'drop')) return true;
  const target = jumpTarget(rule);
  return target !== undefined && barrierAt(jumps.get(target) ?? [], jumps) !== undefined;
}

function placeOf({ chain, rules, jumps }: ForeignChain, passage: Passage): string {
  const id = nameOf(chain);
  if (passage.hook === 'input' || chain.table === 'firewalld') return `insert rule ${id}`;
  const barrier = barrierAt(rules, jumps);
  const before = barrier === undefined ? undefined : rules[barrier];
  return before ? `insert rule ${id} position ${before.handle}` : `add rule ${id}`;
}

/** iptables-nft refuses to show a table in which it finds what it could not have written. */
const isManagedByIptables = (chain: Chain): boolean =>
  chain.family !== 'inet' && chain.table === 'filter' && /^[A-Z]+$/.test(chain.name);
