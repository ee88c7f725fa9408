/** Rows of text in columns; the first row may be their headings. */

/** No column is made narrower than this. */
const LEAST_WIDTH = 8;

export interface TableOptions {
  /** The longest line; longer cells of the widest columns are cut. Undefined: lines of any length. */
  readonly width?: number | undefined;
  /** Styles a cell, which is padded already. */
  readonly paint?: (cell: string, column: number, row: number) => string;
}

export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string {
  const { width, paint = (cell) => cell } = options;
  const widths = fit(
    (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))),
    width,
  );
  return rows
    .map((cells, row) => {
      const line = cells.map((cell, column) => shortened(cell, widths[column] ?? 0));
      const last = line.length - 1;
      const padded = line.map((cell, i) => (i === last ? cell : cell.padEnd(widths[i] ?? 0)));
      const painted = padded.map((cell, column) => paint(cell, column, row)).join('  ');
      return `${painted.trimEnd()}\n`;
    })
    .join('');
}

/** A terminal's width; undefined where stdout is a file or a pipe, whose reader wants whole cells. */
export const terminalWidth = (): number | undefined =>
  process.stdout.isTTY ? process.stdout.columns : undefined;

/** The widths with the widest columns made narrower, until a line fits. */
function fit(widths: number[], width: number | undefined): number[] {
  if (width === undefined) return widths;
  const gaps = 2 * (widths.length - 1);
  for (;;) {
    const excess = widths.reduce((sum, each) => sum + each, gaps) - width;
    const widest = Math.max(...widths);
    if (excess <= 0 || widest <= LEAST_WIDTH) return widths;
    const at = widths.indexOf(widest);
    widths[at] = widest - 1;
  }
}

const shortened = (cell: string, width: number): string =>
  cell.length > width ? `${cell.slice(0, Math.max(0, width - 1))}…` : cell;
