/** Elements of sets and maps as bytes (linux/netfilter/nf_tables.h, NFTA_SET_ELEM_*). */

import { parseAttributes } from 'netlink/dist/structs.js';
import { TYPE_MASK } from '../netlink/attribute.ts';
import { formatAttributes, type NetlinkMessage } from '../netlink/message.ts';
import { partsOf } from '../netlink/parts.ts';
import { commentOf, encodeComment } from './comment.ts';
import { decodeFields, encodeFields } from './field.ts';
import { NFGENMSG_BYTES, NLA_F_NESTED, text, textOf } from './nfnetlink.ts';
import type { NftElement, NftSet, SetElement } from './set.ts';

/** The attributes of a request about elements of a set. `whole`: with data and comment; without, the keys. */
export function listAttributes(
  set: NftSet,
  group: readonly SetElement[],
  whole: boolean,
): [number, Buffer][] {
  const list = group.map((element): [number, Buffer] => [
    NFTA_LIST_ELEM | NLA_F_NESTED,
    encodeElement(set, element, whole),
  ]);
  return [
    [NFTA_SET_ELEM_LIST_TABLE, text(set.table)],
    [NFTA_SET_ELEM_LIST_SET, text(set.name)],
    ...(list.length
      ? [[NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, formatAttributes(list)] as [number, Buffer]]
      : []),
  ];
}

/** `whole`: with data and comment; without, the key is all that a removal or a look-up needs. */
function encodeElement(set: NftSet, element: SetElement, whole: boolean): Buffer {
  const attributes: [number, Buffer][] = [
    [NFTA_SET_ELEM_KEY | NLA_F_NESTED, value(encodeFields(set.key, element.key))],
  ];
  if (whole && set.data) {
    attributes.push([NFTA_SET_ELEM_DATA | NLA_F_NESTED, value(encodeFields(set.data, element.data ?? []))]);
  }
  if (whole && element.comment !== undefined) {
    attributes.push([NFTA_SET_ELEM_USERDATA, encodeComment(element.comment)]);
  }
  return formatAttributes(attributes);
}

const value = (bytes: Buffer): Buffer => formatAttributes([[NFTA_DATA_VALUE, bytes]]);

/** The elements in an answer, or in a notification of elements added or removed. */
export function elementsOf(set: NftSet, message: NetlinkMessage, marked = ''): NftElement[] {
  const found: NftElement[] = [];
  parseAttributes(message.body.subarray(NFGENMSG_BYTES), ({ type, data }) => {
    if ((type & TYPE_MASK) !== NFTA_SET_ELEM_LIST_ELEMENTS) return;
    if (!data.includes(marked)) return;
    parseAttributes(data, (item) => {
      if (item.data.includes(marked)) found.push(decodeElement(set, item.data));
    });
  });
  return found;
}

/** The keys in an answer, or in a notification of elements added or removed, as strings of bytes. */
export function eachKey(body: Buffer, onKey: (key: string) => void): void {
  const nested = (
    from: number,
    to: number,
    type: number,
    visit: (from: number, to: number) => void,
  ): void => {
    for (let at = from; at + 4 <= to; ) {
      const length = body.readUInt16LE(at);
      if (length < 4 || at + length > to) return;
      if ((body.readUInt16LE(at + 2) & TYPE_MASK) === type) visit(at + 4, at + length);
      at += (length + 3) & ~3;
    }
  };
  nested(NFGENMSG_BYTES, body.length, NFTA_SET_ELEM_LIST_ELEMENTS, (listFrom, listTo) => {
    nested(listFrom, listTo, NFTA_LIST_ELEM, (from, to) => {
      nested(from, to, NFTA_SET_ELEM_KEY, (keyFrom, keyTo) => {
        nested(keyFrom, keyTo, NFTA_DATA_VALUE, (valueFrom, valueTo) =>
          onKey(body.toString('latin1', valueFrom, valueTo)),
        );
      });
    });
  });
}

function decodeElement(set: NftSet, bytes: Buffer): NftElement {
  const parts = partsOf(bytes);
  const key = parts.get(NFTA_SET_ELEM_KEY);
  const data = parts.get(NFTA_SET_ELEM_DATA);
  const comment = commentOf(parts.get(NFTA_SET_ELEM_USERDATA));
  const packets = packetsOf(parts.get(NFTA_SET_ELEM_EXPR));
  return {
    key: key ? decodeFields(set.key, dataValueOf(key)) : [],
    ...(data && set.data ? { data: decodeFields(set.data, dataValueOf(data)) } : {}),
    ...(comment === undefined ? {} : { comment }),
    ...(packets === undefined ? {} : { packets }),
  };
}

/** The packets of an element's counter; undefined where it has none. */
function packetsOf(expression: Buffer | undefined): number | undefined {
  const parts = expression && partsOf(expression);
  const name = parts?.get(NFTA_EXPR_NAME);
  const data = parts?.get(NFTA_EXPR_DATA);
  if (!name || !data || textOf(name) !== 'counter') return undefined;
  const packets = partsOf(data).get(NFTA_COUNTER_PACKETS);
  return packets && Number(packets.readBigUInt64BE());
}

/** The bytes inside an NFTA_DATA_VALUE. */
function dataValueOf(bytes: Buffer): Buffer {
  let found = Buffer.alloc(0);
  parseAttributes(bytes, ({ type, data }) => {
    if ((type & TYPE_MASK) === NFTA_DATA_VALUE) found = Buffer.from(data);
  });
  return found;
}

const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_USERDATA = 6;
const NFTA_SET_ELEM_EXPR = 7;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_COUNTER_PACKETS = 2;
const NFTA_DATA_VALUE = 1;
