/** Comments on elements and rules: libnftnl's user data is type, length, bytes, with a final NUL (libnftnl/udata.h). */
import { text, textOf } from './nfnetlink.ts';

const UDATA_COMMENT = 0;
const COMMENT_BYTES = 128;

export function encodeComment(comment: string): Buffer {
  const bytes = text(comment);
  if (bytes.length > COMMENT_BYTES) throw new RangeError(`comment of ${bytes.length} bytes: ${comment}`);
  return Buffer.concat([Buffer.from([UDATA_COMMENT, bytes.length]), bytes]);
}

/** The comment in a set element's or rule's user data. */
export function commentOf(userData: Buffer | undefined): string | undefined {
  let rest = userData ?? Buffer.alloc(0);
  while (rest.length >= 2) {
    const [type, length = 0] = rest;
    if (type === UDATA_COMMENT) return textOf(rest.subarray(2, 2 + length));
    rest = rest.subarray(2 + length);
  }
  return undefined;
}
