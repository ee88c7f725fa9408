/** Attributes by their types, for what is read seldom; `attribute.ts` reads tables with thousands of entries. */
import { parseAttributes } from 'netlink/dist/structs.js';
import { TYPE_MASK } from './attribute.ts';

/** Of two of one type the last counts, as for the kernel. */
export function partsOf(bytes: Buffer): Map<number, Buffer> {
  const parts = new Map<number, Buffer>();
  parseAttributes(bytes, ({ type, data }) => parts.set(type & TYPE_MASK, data));
  return parts;
}
