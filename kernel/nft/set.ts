/** Sets, maps and their elements as values. */
import type { FieldType, FieldValue } from './field.ts';
import type { NftFamily } from './nfnetlink.ts';

/** A set, or where it has `data` a map, of a table. */
export interface NftSet<
  Key extends readonly FieldType[] = readonly FieldType[],
  Data extends readonly FieldType[] = readonly FieldType[],
> {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly key: Key;
  readonly data?: Data;
}

/** An element. Its owner recognises it by the comment (at most 127 bytes). */
export interface NftElement<Key = readonly FieldValue[], Data = readonly FieldValue[]> {
  readonly key: Key;
  readonly data?: Data;
  readonly comment?: string;
  /** Of a set whose rules count: how many packets its counter has seen. */
  readonly packets?: number;
}

/** An element together with its set. */
export interface SetElement extends NftElement {
  readonly set: NftSet;
}
