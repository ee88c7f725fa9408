/** Pings from every place to every address, and the matrix that shows them. */
import type { Family } from '../inet/ip.ts';
import { eachInParallel, type Outcome } from './command.ts';

/** Who can be pinged, and who can ping. */
export interface Endpoint {
  readonly name: string;
  /** The node that it is, or is on. */
  readonly host: string;
  /** One per family. */
  readonly addresses: readonly string[];
  exec(argv: readonly string[]): Promise<Outcome>;
}

export interface PingResult {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** Round trip in milliseconds; undefined if the packet was lost. */
  readonly rttMs: number | undefined;
  /** What `ping` said, when lost. */
  readonly said: string;
}

/** A reply that takes longer counts as lost. */
const waitSeconds = 2;
/** Pings on their way at one time: enough to be quick, few enough not to measure each other. */
const atOnce = 12;

export const familyOf = (address: string): Family => (address.includes(':') ? 'ipv6' : 'ipv4');

/** One ping from each of `sources` to each address of each of `targets`; a pair that `skip` names is left out. */
export function pingAll(request: {
  sources: readonly Endpoint[];
  targets: readonly Endpoint[];
  skip?: (from: Endpoint, to: Endpoint) => boolean;
}): Promise<PingResult[]> {
  const pairs = request.sources.flatMap((from) =>
    request.targets
      .filter((to) => !request.skip?.(from, to))
      .flatMap((to) => to.addresses.map((address) => ({ from, to, address }))),
  );
  return eachInParallel(pairs, atOnce, pingOnce);
}

async function pingOnce(pair: { from: Endpoint; to: Endpoint; address: string }): Promise<PingResult> {
  const { from, to, address } = pair;
  const outcome = await from.exec(['ping', '-n', '-c', '1', '-W', String(waitSeconds), address]);
  const rtt = outcome.status === 0 ? /time[=<]([\d.]+) ms/.exec(outcome.stdout)?.[1] : undefined;
  return {
    from: from.name,
    to: to.name,
    address,
    rttMs: rtt === undefined ? undefined : Number(rtt),
    said: `${outcome.stdout}${outcome.stderr}`.trim(),
  };
}

export const lost = (results: readonly PingResult[]): PingResult[] =>
  results.filter((result) => result.rttMs === undefined);

/** Rows ping columns; a cell is the round trip in milliseconds, `lost`, or empty where no ping was sent. */
export function formatMatrix(results: readonly PingResult[]): string {
  const unique = (names: string[]) => [...new Set(names)];
  const columns = unique(results.map((result) => `${result.to}\n${result.address}`));
  const cell = (from: string, column: string): string => {
    const found = results.find(
      (result) => result.from === from && `${result.to}\n${result.address}` === column,
    );
    if (!found) return '';
    return found.rttMs === undefined ? 'lost' : found.rttMs.toFixed(2);
  };
  const rows = [
    ['', ...columns.map((column) => column.split('\n')[0] ?? '')],
    ['ms', ...columns.map((column) => column.split('\n')[1] ?? '')],
    ...unique(results.map((result) => result.from)).map((from) => [
      from,
      ...columns.map((column) => cell(from, column)),
    ]),
  ];
  return formatTable(rows, 'right');
}

/** Columns as wide as their widest cell; the first one to the left, the others to the given side. */
export function formatTable(rows: readonly (readonly string[])[], align: 'left' | 'right' = 'left'): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const pad = (text: string, i: number) =>
    i === 0 || align === 'left' ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
