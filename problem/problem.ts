/** What is wrong with a configuration, and where: one line each, however many there are. */

/** The way from the document's root to a field: `['store', 'endpoints', 0]`. */
export type FieldPath = readonly (string | number)[];

/** A fault found in values; `text` says what is wrong and what to do about it. */
export interface Fault {
  readonly path: FieldPath;
  readonly text: string;
  /** The fault lies in the field's name, not in its value. */
  readonly inName?: boolean;
}

/** A fault with its place in the file; line and column count from 1, and are absent where there is no file. */
export interface Problem {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly field: string;
  readonly text: string;
}

/** `/etc/weft/weft.yaml:3:15: subnetLength: …`, on one line, even if a text contains line breaks. */
export function formatProblem({ file, line, column, field, text }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return [place, ...(field === '' ? [] : [field]), text].join(': ').replace(/\s*\n\s*/g, ' ');
}

/** `store.endpoints[0]`. */
export const formatField = (path: FieldPath): string =>
  path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
