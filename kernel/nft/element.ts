/**
 * Elements of sets and maps: request builders and readers (linux/netfilter/nf_tables.h).
 *
 * This is the path of a per-pod change: a transaction of a few elements is one send and no process.
 */
import { failedWith } from '../errors.ts';
import { type NetlinkRequest, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import { atOnce } from '../steps.ts';
import { eachKey, elementsOf, listAttributes } from './element-codec.ts';
import { type Fields, type FieldType, formatFields } from './field.ts';
import {
  attemptTransaction,
  NFNL_SUBSYS_NFTABLES,
  type Nfnl,
  nfnlRequest,
  numberOfFamily,
} from './nfnetlink.ts';

import type { NftElement, NftSet, SetElement } from './set.ts';

/** Ties an element to its set, so that the compiler compares the fields with the set's types. */
export const elementOf = <const Key extends readonly FieldType[], const Data extends readonly FieldType[]>(
  set: NftSet<Key, Data>,
  element: NftElement<Fields<Key>, Fields<Data>>,
): SetElement => ({ set, ...element }) as unknown as SetElement;

/** `inet weft hostports { tcp . 8080 }`, for messages. */
export const formatElement = ({ set, key }: SetElement): string =>
  `${set.family} ${set.table} ${set.name} { ${formatFields(set.key, key)} }`;

/** Two elements with one name are the same key of the same set. */
export const nameOfElement = formatElement;

/**
 * Adds elements. One that is there already with the same data is left as it is, with other data EEXIST;
 * with `exclusive` EEXIST in both cases. ENOENT where there is no such table or set.
 *
 * One request per element, so that a refusal names the element.
 */
export const add = (elements: readonly SetElement[], how: { exclusive?: boolean } = {}): NetlinkRequest[] =>
  elements.map((element) => change('add', [element], NLM_F_CREATE | (how.exclusive ? NLM_F_EXCL : 0)));

/** Removes elements; ENOENT where one is not there. One request per element. */
export const remove = (elements: readonly SetElement[]): NetlinkRequest[] =>
  elements.map((element) => change('remove', [element], 0));

/** Adds many elements of one or several sets, in few large requests. */
export const addMany = (elements: readonly SetElement[]): NetlinkRequest[] =>
  grouped(elements).map((group) => change('add', group, NLM_F_CREATE));

/** Removes many elements in few large requests. */
export const removeMany = (elements: readonly SetElement[]): NetlinkRequest[] =>
  grouped(elements).map((group) => change('remove', group, 0));

/** Removes those of the elements that are there, in one transaction; returns how many were. */
export function ensureAbsent(nfnl: Nfnl, elements: readonly SetElement[]): number {
  let left = [...elements];
  while (left.length > 0) {
    const outcomes = attemptTransaction(nfnl, remove(left));
    const refusal = outcomes.find((outcome) => outcome && !failedWith(outcome, 'ENOENT'));
    if (refusal) throw refusal;
    const present = left.filter((_, i) => !outcomes[i]);
    if (present.length === left.length) return present.length;
    left = present;
  }
  return 0;
}

/**
 * The elements of a set; undefined where there is no such table or set.
 *
 * `marked`: only those whose comment contains this text, which is cheap among thousands.
 */
export function elements<const Key extends readonly FieldType[], const Data extends readonly FieldType[]>(
  nfnl: Nfnl,
  set: NftSet<Key, Data>,
  marked = '',
): NftElement<Fields<Key>, Fields<Data>>[] | undefined {
  try {
    const messages = nfnl.dump(get(set, []));
    return messages.flatMap((message) => elementsOf(set, message, marked)) as unknown as NftElement<
      Fields<Key>,
      Fields<Data>
    >[];
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The element of that key as the kernel has it; undefined where there is none (or no such set). */
export function lookUp(nfnl: Nfnl, element: SetElement): NftElement | undefined {
  const { outcomes, replies } = nfnl.exchange([get(element.set, [element])]);
  if (failedWith(outcomes[0], 'ENOENT')) return undefined;
  if (outcomes[0]) throw outcomes[0];
  return replies.flatMap((reply) => elementsOf(element.set, reply))[0];
}

function change(verb: 'add' | 'remove', group: readonly SetElement[], flags: number): NetlinkRequest {
  const set = group[0]?.set;
  if (!set) throw new RangeError('a change of no element');
  return nfnlRequest({
    subsystem: NFNL_SUBSYS_NFTABLES,
    type: verb === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
    family: numberOfFamily(set.family),
    flags,
    attributes: listAttributes(set, group, verb === 'add'),
    attempted: () => `${verb} ${describe(group)}`,
  });
}

const get = (set: NftSet, group: readonly SetElement[]): NetlinkRequest =>
  nfnlRequest({
    subsystem: NFNL_SUBSYS_NFTABLES,
    type: NFT_MSG_GETSETELEM,
    family: numberOfFamily(set.family),
    attributes: listAttributes(set, group, false),
    attempted: () =>
      group.length ? `look up ${describe(group)}` : `list ${set.family} ${set.table} ${set.name}`,
  });

function describe(group: readonly SetElement[]): string {
  const first = group[0] ? formatElement(group[0]) : 'no element';
  return group.length > 1 ? `${first} and ${group.length - 1} more` : first;
}

/** Elements of one set, so many at a time that the list's 16-bit length cannot overflow. */
function grouped(all: readonly SetElement[]): SetElement[][] {
  const bySet = new Map<string, SetElement[]>();
  for (const element of all) {
    const name = `${element.set.family} ${element.set.table} ${element.set.name}`;
    const group = bySet.get(name) ?? [];
    group.push(element);
    bySet.set(name, group);
  }
  const groups: SetElement[][] = [];
  for (const group of bySet.values()) {
    for (let i = 0; i < group.length; i += ELEMENTS_PER_REQUEST) {
      groups.push(group.slice(i, i + ELEMENTS_PER_REQUEST));
    }
  }
  return groups;
}

/**
 * The keys of a set's elements as strings of as many characters as they have bytes; undefined where there is no such
 * table or set. For sets of thousands.
 */
export function keysOfSet(nfnl: Nfnl, set: NftSet): Set<string> | undefined {
  for (;;) {
    const keys = new Set<string>();
    try {
      const steps = nfnl.scan(get(set, []), (body) => eachKey(body, (key) => keys.add(key)));
      if (atOnce(steps)) return keys;
    } catch (error) {
      if (failedWith(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}

/** 80 bytes is the largest element: an IPv6 key with an interface name, data and comment aside. */
const ELEMENTS_PER_REQUEST = 200;

const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
