/** Colours for people: on a terminal that has them, and never where NO_COLOR is set (https://no-color.org). */

const codes = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;

export type Style = keyof typeof codes;
export type Paint = (style: Style, text: string) => string;

/** `hasColors` of a terminal heeds NO_COLOR and TERM; what is no terminal has no such function. */
export const painterFor = (stream: Partial<Pick<NodeJS.WriteStream, 'isTTY' | 'hasColors'>>): Paint =>
  stream.isTTY && stream.hasColors?.()
    ? (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`
    : (_style, text) => text;
