/** What the kernel has of a table's rules: tables, chains, sets and rules as nf_tables shows them. */

import { createHash } from 'node:crypto';
import type { StreamData } from 'netlink/dist/structs.js';
import { failedWith } from '../errors.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/message.ts';
import { partsOf } from '../netlink/parts.ts';
import { commentOf } from './comment.ts';
import { expressionsOf } from './expression.ts';
import {
  familyOfNumber,
  NFGENMSG_BYTES,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_UNSPEC,
  type Nfnl,
  type NftFamily,
  nfnlRequest,
  numberOfFamily,
  text,
  textOf,
} from './nfnetlink.ts';

export interface TableName {
  readonly family: NftFamily;
  readonly table: string;
}

/** A chain. A base chain has a hook (NF_INET_*, linux/netfilter.h) and a policy. */
export interface Chain extends TableName {
  readonly name: string;
  readonly type: string | undefined;
  readonly hook: number | undefined;
  readonly priority: number | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
}

export interface Rule extends TableName {
  readonly chain: string;
  readonly handle: bigint;
  readonly comment: string | undefined;
  /** The expressions as the kernel sent them: equal bytes are an equal rule. */
  readonly expressions: Buffer;
}

/** The shape of a set; what is in it is read with `elements`. */
export interface SetShape extends TableName {
  readonly name: string;
  readonly keyBytes: number;
  readonly dataBytes: number | undefined;
  readonly anonymous: boolean;
}

/** A table without the elements of its sets. */
export interface Table extends TableName {
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
  readonly sets: readonly SetShape[];
}

/** Reads a table; undefined where there is none. */
export function readTable(nfnl: Nfnl, name: TableName): Table | undefined {
  const { outcomes } = nfnl.exchange([get(NFT_MSG_GETTABLE, name, [[NFTA_NAME, text(name.table)]])]);
  if (failedWith(outcomes[0], 'ENOENT')) return undefined;
  if (outcomes[0]) throw outcomes[0];
  return {
    ...name,
    chains: chains(nfnl, name.family).filter((chain) => chain.table === name.table),
    rules: rules(nfnl, name),
    sets: nfnl.dump(get(NFT_MSG_GETSET, name, [[NFTA_NAME, text(name.table)]])).map(setOf),
  };
}

/** Every chain of a family, or of all of them. */
export const chains = (nfnl: Nfnl, family?: NftFamily): Chain[] =>
  nfnl.dump(get(NFT_MSG_GETCHAIN, { family, table: '' }, [])).map(chainOf);

/** One chain; undefined where there is none. */
export function chain(nfnl: Nfnl, name: TableName & { name: string }): Chain | undefined {
  const request = get(NFT_MSG_GETCHAIN, name, [
    [NFTA_NAME, text(name.table)],
    [NFTA_CHAIN_NAME, text(name.name)],
  ]);
  const { outcomes, replies } = nfnl.exchange([request]);
  if (failedWith(outcomes[0], 'ENOENT')) return undefined;
  if (outcomes[0]) throw outcomes[0];
  return replies.map(chainOf)[0];
}

/** The rules of a table, or of one of its chains, in order; none where there is no such table or chain. */
export function rules(nfnl: Nfnl, name: TableName & { chain?: string }): Rule[] {
  const attributes: [number, StreamData][] = [[NFTA_NAME, text(name.table)]];
  if (name.chain !== undefined) attributes.push([NFTA_RULE_CHAIN, text(name.chain)]);
  try {
    return nfnl.dump(get(NFT_MSG_GETRULE, name, attributes)).map(ruleOf);
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return [];
    throw error;
  }
}

/** A digest of chains and rules: equal while they are unchanged. */
export function fingerprint(table: { chains: readonly Chain[]; rules: readonly Rule[] }): string {
  const hash = createHash('sha256');
  for (const { name, type, hook, priority, policy } of table.chains) {
    hash.update(`${name} ${type} ${hook} ${priority} ${policy}\n`);
  }
  for (const rule of table.rules) {
    hash.update(`${rule.chain} ${rule.comment} ${rule.expressions.length}\n`).update(rule.expressions);
  }
  return hash.digest('hex');
}

const get = (
  type: number,
  name: { family: NftFamily | undefined; table: string },
  attributes: readonly (readonly [number, StreamData])[],
): NetlinkRequest =>
  nfnlRequest({
    subsystem: NFNL_SUBSYS_NFTABLES,
    type,
    family: name.family === undefined ? NFPROTO_UNSPEC : numberOfFamily(name.family),
    attributes,
    attempted: () => `read nftables ${name.family ?? ''} ${name.table}`.trimEnd(),
  });

interface Decoded {
  readonly family: NftFamily;
  readonly parts: ReadonlyMap<number, Buffer>;
}

function decode(message: NetlinkMessage): Decoded {
  const family = familyOfNumber(message.body[0] ?? 0);
  if (!family) throw new RangeError(`nftables family ${message.body[0]}`);
  return { family, parts: partsOf(message.body.subarray(NFGENMSG_BYTES)) };
}

const textAt = (parts: ReadonlyMap<number, Buffer>, type: number): string =>
  textOf(parts.get(type) ?? Buffer.alloc(0));

function chainOf(message: NetlinkMessage): Chain {
  const { family, parts } = decode(message);
  const hook = partsOf(parts.get(NFTA_CHAIN_HOOK) ?? Buffer.alloc(0));
  const policy = parts.get(NFTA_CHAIN_POLICY)?.readUInt32BE();
  return {
    family,
    table: textAt(parts, NFTA_NAME),
    name: textAt(parts, NFTA_CHAIN_NAME),
    type: parts.has(NFTA_CHAIN_TYPE) ? textAt(parts, NFTA_CHAIN_TYPE) : undefined,
    hook: hook.get(NFTA_HOOK_HOOKNUM)?.readUInt32BE(),
    priority: hook.get(NFTA_HOOK_PRIORITY)?.readInt32BE(),
    policy: policy === undefined ? undefined : policy === 0 ? 'drop' : 'accept',
  };
}

function ruleOf(message: NetlinkMessage): Rule {
  const { family, parts } = decode(message);
  const expressions = parts.get(NFTA_RULE_EXPRESSIONS) ?? Buffer.alloc(0);
  return {
    family,
    table: textAt(parts, NFTA_NAME),
    chain: textAt(parts, NFTA_RULE_CHAIN),
    handle: parts.get(NFTA_RULE_HANDLE)?.readBigUInt64BE() ?? 0n,
    comment: commentOf(parts.get(NFTA_RULE_USERDATA)) ?? iptablesComment(expressions),
    expressions,
  };
}

/** iptables shows a comment of nft's, but writes its own as a match. */
const iptablesComment = (expressions: Buffer): string | undefined =>
  expressionsOf(expressions).find(({ comment }) => comment !== undefined)?.comment;

function setOf(message: NetlinkMessage): SetShape {
  const { family, parts } = decode(message);
  return {
    family,
    table: textAt(parts, NFTA_NAME),
    name: textAt(parts, NFTA_SET_NAME),
    keyBytes: parts.get(NFTA_SET_KEY_LEN)?.readUInt32BE() ?? 0,
    dataBytes: parts.get(NFTA_SET_DATA_LEN)?.readUInt32BE(),
    anonymous: ((parts.get(NFTA_SET_FLAGS)?.readUInt32BE() ?? 0) & NFT_SET_ANONYMOUS) !== 0,
  };
}

/**
 * A number that changes with every change of any table in the namespace, by any program. While it is equal, earlier
 * reads are still valid.
 */
export function generation(nfnl: Nfnl): number {
  const request = nfnlRequest({
    subsystem: NFNL_SUBSYS_NFTABLES,
    type: NFT_MSG_GETGEN,
    family: NFPROTO_UNSPEC,
    attributes: [],
    attempted: () => 'read the generation of nftables',
  });
  const { outcomes, replies } = nfnl.exchange([request]);
  if (outcomes[0]) throw outcomes[0];
  const parts = partsOf((replies[0]?.body ?? Buffer.alloc(NFGENMSG_BYTES)).subarray(NFGENMSG_BYTES));
  return parts.get(NFTA_GEN_ID)?.readUInt32BE() ?? 0;
}

const NFT_MSG_GETGEN = 16;
const NFTA_GEN_ID = 1;
const NFT_SET_ANONYMOUS = 1;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_GETRULE = 7;
const NFT_MSG_GETSET = 10;
/** The first attribute of every nf_tables object is its table's name. */
const NFTA_NAME = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_RULE_USERDATA = 7;
const NFTA_SET_NAME = 2;
const NFTA_SET_FLAGS = 3;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_DATA_LEN = 7;
