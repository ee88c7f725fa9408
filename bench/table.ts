/** Figures as a table for people. */
import type { Figure } from './figure.ts';

const heads = ['what', 'ours', 'peer', 'ratio', 'target', ''] as const;

export function formatFigures(figures: readonly Figure[]): string {
  const rows = [heads, ...figures.map(rowOf)];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

function rowOf({ what, ours, peer, unit, target, met }: Figure): string[] {
  return [
    what,
    `${formatValue(ours)} ${unit}`,
    peer ? `${formatValue(peer.value)} ${unit} (${peer.name})` : '',
    peer ? (ours / peer.value).toFixed(3) : '',
    target ?? '',
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ];
}

/** Three significant figures, and never an exponent. */
const formatValue = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
