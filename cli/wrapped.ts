/** Text in lines of a width, broken between words; a word that is longer stays whole, so that it can be copied. */

export function wrapped(
  text: string,
  layout: {
    readonly width: number;
    /** Columns before the first line. */
    readonly indent: number;
    /** Columns before the others, from `indent` on. */
    readonly hang: number;
  },
): string[] {
  const { width, indent, hang } = layout;
  const lines: string[] = [];
  let line = '';
  const start = (): string => ' '.repeat(lines.length ? indent + hang : indent);
  for (const word of text.split(' ')) {
    const next = line === '' ? start() + word : `${line} ${word}`;
    if (line !== '' && next.length > width) {
      lines.push(line);
      line = start() + word;
    } else line = next;
  }
  return [...lines, line];
}
