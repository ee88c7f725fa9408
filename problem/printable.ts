/** Text from outside, made safe for a terminal and a log. */

/** Everything except printable ASCII, letters, marks, digits, punctuation and symbols: controls, direction marks. */
const unsafe = /[^\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]/gu;

/** The text with escapes in place of what a terminal might act on, cut to `max` characters. */
export function printable(text: string, max = 128): string {
  const cut = text.length > max ? `${text.slice(0, max)}...` : text;
  return cut.replace(unsafe, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}

/** The same between quotation marks. */
export const quoted = (text: string, max?: number): string =>
  `"${printable(text, max).replaceAll('"', '\\"')}"`;
