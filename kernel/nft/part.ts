/**
 * Parts of a table: chains with their rules, replaced as a whole *around* the sets and maps.
 *
 * Several programs may own parts of one table: each replaces its own parts only. So no part refers to another part's
 * chains. Each part has a mark, from which any process can read the digest of the text that it was made from: the
 * comment of the only rule of a chain `part-NAME`, to which nothing jumps.
 *
 * Elements are never touched, with one exception: a set that another version made with another key is
 * replaced, and the owner of its elements adds them again.
 */

import { digestOf } from '../../inet/digest.ts';
import { nameOfElement } from './element.ts';
import { lengthOfFields, quoteFields } from './field.ts';
import type { Nfnl } from './nfnetlink.ts';
import { applyRules } from './run.ts';
import type { NftSet, SetElement } from './set.ts';
import {
  type Chain,
  fingerprint,
  readTable,
  rules,
  type SetShape,
  type Table,
  type TableName,
} from './state.ts';

export interface ChainSpec {
  readonly name: string;
  /** For a base chain, its `type ... hook ... priority ...; policy ...;`. */
  readonly base?: string;
  /** Rules in nft's language. Without counters and other state: they are compared as bytes. */
  readonly rules: readonly string[];
}

export interface SetSpec extends NftSet {
  /** The key in nft's language, where it is not the names of its fields' types. */
  readonly keyText?: string;
  /** More of its declaration in nft's language: `flags dynamic, timeout; timeout 10m; size 256;`. */
  readonly options?: string;
}

export interface Part extends TableName {
  readonly name: string;
  readonly sets: readonly SetSpec[];
  readonly chains: readonly ChainSpec[];
}

/** What is to be done to a table's parts. */
export interface PartsPlan {
  /** nft's language; one transaction. */
  readonly commands: string;
  /** What and why, for logs: `inet weft masquerade: missing`. */
  readonly reasons: readonly string[];
}

/** Why a part in the kernel is not the desired one; undefined where it is. */
export function difference(part: Part, table: Table | undefined): string | undefined {
  if (!table) return 'missing';
  const mark = table.rules.find((rule) => rule.chain === markOf(part));
  if (!mark) return 'missing';
  if (mark.comment !== versionOf(part)) return 'of another version';
  const missing = part.sets.find((set) => !table.sets.some((shape) => shape.name === set.name));
  if (missing) return `set ${missing.name} missing`;
  for (const { name, base, rules: wanted } of part.chains) {
    const chain = table.chains.find((candidate) => candidate.name === name);
    if (!chain || (chain.hook === undefined) !== (base === undefined)) return `chain ${name} missing`;
    if (table.rules.filter((rule) => rule.chain === name).length !== wanted.length) {
      return `rules of chain ${name} changed`;
    }
  }
  return undefined;
}

/**
 * The transaction that makes the parts of one table what they should be; undefined where nothing differs.
 *
 * `all`: the table should contain these parts only; chains and sets of no part are removed.
 * `touched`: parts that are to be replaced although they look right (their rules' bytes have changed).
 * `elements`: what belongs into sets that do not exist yet: a rule never stands beside a set that still waits
 * to be filled.
 */
export function planParts(options: {
  name: TableName;
  desired: readonly Part[];
  actual: Table | undefined;
  all: boolean;
  touched?: ReadonlySet<string>;
  elements?: () => readonly SetElement[];
}): PartsPlan | undefined {
  const { name, desired, actual } = options;
  const reasons = new Map<Part, string>();
  for (const part of desired) {
    const reason =
      difference(part, actual) ?? (options.touched?.has(part.name) ? 'changed outside weft' : undefined);
    if (reason !== undefined) reasons.set(part, reason);
  }
  const strays = options.all && actual ? straysOf(desired, actual) : { chains: [], sets: [] };
  if (reasons.size === 0 && strays.chains.length === 0 && strays.sets.length === 0) return undefined;
  const replaced = [...reasons.keys()];
  const old = [...replaced.flatMap((part) => oldChains(part, actual)), ...strays.chains];
  const reshaped = replaced.flatMap((part) => reshapedSets(part, actual));
  const id = `${name.family} ${name.table}`;
  const commands = [
    `add table ${id}`,
    ...old.map((chain) => `flush chain ${id} ${chain}`),
    ...old.map((chain) => `delete chain ${id} ${chain}`),
    ...[...reshaped, ...strays.sets].map((set) => `delete ${kindOf(set)} ${id} ${set.name}`),
    ...replaced.map((part) => formatPart(part)),
    ...newElements(options.elements?.() ?? [], replaced, (set) => !setStands(set, actual)),
  ];
  return {
    commands: `${commands.join('\n')}\n`,
    reasons: [
      ...[...reasons].map(([part, reason]) => `${id} ${part.name}: ${reason}`),
      ...strays.chains.map((chain) => `${id} chain ${chain}: unexpected, removed`),
      ...strays.sets.map((set) => `${id} set ${set.name}: unexpected, removed`),
    ],
  };
}

/** Makes the parts of one table what they should be, in the calling thread's namespace; returns what was done. */
export function ensureParts(options: {
  nfnl: Nfnl;
  name: TableName;
  desired: readonly Part[];
  all: boolean;
  elements?: () => readonly SetElement[];
}): readonly string[] {
  const plan = planParts({ ...options, actual: readTable(options.nfnl, options.name) });
  if (plan) applyRules(plan.commands);
  return plan?.reasons ?? [];
}

/** Whether a part of this name is in the table, of any version. */
export const isPresent = (part: Part, table: Table): boolean =>
  table.chains.some((chain) => chain.name === markOf(part));

/** Whether a part of this very text was made and its mark still stands: one small read. */
export const isStanding = (nfnl: Nfnl, part: Part): boolean =>
  rules(nfnl, { ...part, chain: markOf(part) })[0]?.comment === versionOf(part);

/** The digest of a part's chains and rules as the kernel has them; compare it with one taken when all was well. */
export function fingerprintOfPart(part: Part, table: Table): string {
  const names = chainNames(part);
  return fingerprint({
    chains: table.chains.filter((chain) => names.has(chain.name)),
    rules: table.rules.filter((rule) => names.has(rule.chain)),
  });
}

/** The part as nft's language. */
export function formatPart(part: Part): string {
  const lines = [`table ${part.family} ${part.table} {`];
  for (const set of part.sets) lines.push(formatSet(set));
  for (const chain of [...part.chains, markChain(part)]) {
    lines.push(`  chain ${chain.name} {`);
    if (chain.base !== undefined) lines.push(`    ${chain.base}`);
    lines.push(...chain.rules.map((rule) => `    ${rule}`), '  }');
  }
  lines.push('}');
  return lines.join('\n');
}

function formatSet(set: SetSpec): string {
  const key = set.keyText === undefined ? `type ${set.key.join(' . ')}` : `typeof ${set.keyText}`;
  const options = set.options === undefined ? '' : ` ${set.options}`;
  return set.data
    ? `  map ${set.name} { ${key} : ${set.data.join(' . ')};${options} }`
    : `  set ${set.name} { ${key};${options} }`;
}

const markOf = (part: Part): string => `part-${part.name}`;

const markChain = (part: Part): ChainSpec => ({
  name: markOf(part),
  rules: [`return comment "${versionOf(part)}"`],
});

/** Parts are made once and used often. */
const versions = new WeakMap<Part, string>();

function versionOf(part: Part): string {
  const known = versions.get(part);
  if (known !== undefined) return known;
  const text = JSON.stringify([part.sets.map(formatSet), part.chains]);
  const digest = digestOf(text).toString('hex').slice(0, 32);
  versions.set(part, digest);
  return digest;
}

const chainNames = (part: Part): ReadonlySet<string> =>
  new Set([markOf(part), ...part.chains.map((chain) => chain.name)]);

/** Names of this part's chains that exist. */
function oldChains(part: Part, table: Table | undefined): string[] {
  const names = chainNames(part);
  return (table?.chains ?? []).map((chain: Chain) => chain.name).filter((name) => names.has(name));
}

function newElements(
  elements: readonly SetElement[],
  parts: readonly Part[],
  isNew: (set: NftSet) => boolean,
): string[] {
  const sets = new Set(parts.flatMap((part) => part.sets.filter(isNew).map((set) => set.name)));
  const wanted = elements.filter(({ set }) => sets.has(set.name));
  return [...new Map(wanted.map((element) => [nameOfElement(element), element])).values()].map(formatNew);
}

function formatNew({ set, key, data, comment }: SetElement): string {
  const value = set.data && data ? ` : ${quoteFields(set.data, data)}` : '';
  const note = comment === undefined ? '' : ` comment "${comment}"`;
  return `add element ${set.family} ${set.table} ${set.name} { ${quoteFields(set.key, key)}${note}${value} }`;
}

const sameShape = (set: NftSet, shape: SetShape): boolean =>
  shape.keyBytes === lengthOfFields(set.key) && shape.dataBytes === (set.data && lengthOfFields(set.data));

const setStands = (set: NftSet, table: Table | undefined): boolean =>
  table?.sets.some((shape) => shape.name === set.name && sameShape(set, shape)) === true;

/** This part's sets that exist with keys or data of another length. */
function reshapedSets(part: Part, table: Table | undefined): SetShape[] {
  return (table?.sets ?? []).filter((shape) => {
    const set = part.sets.find((candidate) => candidate.name === shape.name);
    if (!set) return false;
    return (
      shape.keyBytes !== lengthOfFields(set.key) || shape.dataBytes !== (set.data && lengthOfFields(set.data))
    );
  });
}

/** nft's word: a set with data is a map. */
const kindOf = (set: SetShape): string => (set.dataBytes === undefined ? 'set' : 'map');

function straysOf(desired: readonly Part[], table: Table): { chains: string[]; sets: SetShape[] } {
  const chains = new Set(desired.flatMap((part) => [...chainNames(part)]));
  const sets = new Set(desired.flatMap((part) => part.sets.map((set) => set.name)));
  return {
    chains: table.chains.map((chain) => chain.name).filter((name) => !chains.has(name)),
    sets: table.sets.filter((set) => !set.anonymous && !sets.has(set.name)),
  };
}
