/** Notifications of the group NFNLGRP_NFTABLES; the listener decides which ones concern it. */

import type { NetlinkMessage } from '../netlink/message.ts';
import { partsOf } from '../netlink/parts.ts';
import { familyOfNumber, NFGENMSG_BYTES, NFNL_SUBSYS_NFTABLES, type NftFamily, textOf } from './nfnetlink.ts';

export interface NftEvent {
  readonly what: 'table' | 'chain' | 'rule' | 'set' | 'elements';
  readonly gone: boolean;
  readonly family: NftFamily;
  readonly table: string;
  /** The chain's or set's name; of a rule, its chain's. Empty for a table. */
  readonly name: string;
  /** A base chain: it sees packets by itself. */
  readonly hooked: boolean;
}

/** Reads a notification; undefined for what is none of these (generations, objects, flow tables). */
export function nftEventOf(message: NetlinkMessage): NftEvent | undefined {
  const kind = kinds.get(message.type & 0xff);
  const family = familyOfNumber(message.body[0] ?? 0);
  if (message.type >> 8 !== NFNL_SUBSYS_NFTABLES || !kind || !family) return undefined;
  const parts = partsOf(message.body.subarray(NFGENMSG_BYTES));
  const textAt = (type: number): string => textOf(parts.get(type) ?? Buffer.alloc(0));
  return {
    what: kind.what,
    gone: kind.gone,
    family,
    table: textAt(1),
    name: kind.nameAt === undefined ? '' : textAt(kind.nameAt),
    hooked: kind.what === 'chain' && parts.has(NFTA_CHAIN_HOOK),
  };
}

interface Kind {
  readonly what: NftEvent['what'];
  readonly gone: boolean;
  /** The attribute that holds the name. */
  readonly nameAt: number | undefined;
}

const NFTA_CHAIN_HOOK = 4;

/** NFT_MSG_* (linux/netfilter/nf_tables.h, enum nf_tables_msg_types). */
const kinds: ReadonlyMap<number, Kind> = new Map([
  [0, { what: 'table', gone: false, nameAt: undefined }],
  [2, { what: 'table', gone: true, nameAt: undefined }],
  [3, { what: 'chain', gone: false, nameAt: 3 }],
  [5, { what: 'chain', gone: true, nameAt: 3 }],
  [6, { what: 'rule', gone: false, nameAt: 2 }],
  [8, { what: 'rule', gone: true, nameAt: 2 }],
  [9, { what: 'set', gone: false, nameAt: 2 }],
  [11, { what: 'set', gone: true, nameAt: 2 }],
  [12, { what: 'elements', gone: false, nameAt: 2 }],
  [14, { what: 'elements', gone: true, nameAt: 2 }],
]);
