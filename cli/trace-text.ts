/** A trace as text for a terminal of 80 columns: a line per hop, and where it stops. */
import type { Hop } from '../agent/trace/hop.ts';
import type { Trace } from '../agent/trace/trace.ts';
import { printable } from '../problem/printable.ts';
import type { Paint, Style } from './colour.ts';
import { wrapped } from './wrapped.ts';

const WIDTH = 80;
const NAME_COLUMNS = 22;
const styles = { ok: 'green', failed: 'red', unknown: 'yellow' } as const satisfies Record<
  Hop['state'],
  Style
>;

export function traceText(
  trace: Trace,
  { node, paint }: { readonly node: string; readonly paint: Paint },
): string {
  const { source, target, sending, receiving, probe, passes, stopsAt } = trace;
  const section = (title: string, hops: readonly Hop[]): string[] =>
    hops.length ? [paint('bold', title), ...hops.flatMap((hop) => hopLines(hop, paint)), ''] : [];
  const other = receiving
    ? receiving.unknown === undefined
      ? section(`On ${printable(receiving.node)}`, receiving.hops)
      : [
          paint('bold', `On ${printable(receiving.node)}`),
          ...hopLines({ name: '-', state: 'unknown', text: receiving.unknown }, paint),
          '',
        ]
    : [];
  const verdict = passes
    ? paint('green', `Packets pass from ${source} to ${target}.`)
    : stopsAt
      ? [
          ...wrapped(
            `${source} to ${target} stops on ${printable(stopsAt.node)} at ${causeOf(stopsAt.hop)}`,
            { width: WIDTH, indent: 0, hang: 2 },
          ),
          ...(stopsAt.hop.remedy === undefined ? [] : [`  remedy: ${printable(stopsAt.hop.remedy, 400)}`]),
        ].join('\n')
      : `It is not known whether packets pass from ${source} to ${target}.`;
  return [
    ...section(`On ${printable(node)}`, sending),
    ...other,
    ...section('Packets', probe),
    verdict,
    '',
  ].join('\n');
}

const causeOf = ({ name, text }: Hop): string => `${printable(name)}: ${printable(text, 400)}`;

function hopLines({ name, state, text }: Hop, paint: Paint): string[] {
  const mark = state.padEnd(8);
  const line = `${mark}${printable(name).padEnd(NAME_COLUMNS)} ${printable(text, 400)}`;
  const [first = '', ...rest] = wrapped(line, { width: WIDTH, indent: 0, hang: 8 + NAME_COLUMNS + 1 });
  return [paint(styles[state], mark) + first.slice(mark.length), ...rest];
}
