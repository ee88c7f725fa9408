/** Text as roff, in the macros of man(7). */

/** A line's text: roff's own characters escaped, and no line that starts as a request. */
export const escaped = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    // Beyond ASCII there is only what people's words need.
    .replaceAll('…', '...')
    .replaceAll('²', '^2');

export const section = (title: string, ...body: readonly string[]): string =>
  `.SH ${title.toUpperCase()}\n${body.join('\n')}`;

/** A term and what it means. */
export const tagged = (term: string, text: string): string => `.TP\n.B ${escaped(term)}\n${escaped(text)}`;

/** As it is, in lines. */
export const literal = (text: string): string => `.nf\n${escaped(text)}\n.fi`;

/** A whole page. */
export const page = (head: {
  readonly name: string;
  readonly chapter: number;
  readonly version: string;
  readonly description: string;
  readonly sections: readonly string[];
}): string =>
  [
    `.TH ${escaped(head.name).toUpperCase()} ${head.chapter} "" "weft ${head.version}" "weft"`,
    section('name', `${escaped(head.name)} \\- ${escaped(head.description)}`),
    ...head.sections,
    '',
  ].join('\n');
