/** Pings between all pods while something else happens, and what of them was lost. */
import type { Pair } from './pairs.ts';

export interface Interruption {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly sent: number;
  readonly lost: number;
  /** Without an answer at a stretch, to the period of the pings. */
  readonly longestMs: number;
}

const PERIOD_MS = 100;
/** Pings of one run of `ping`: it ends by itself, also where the connection to its host is lost. */
const PER_RUN = 20;

/** Goes on until `happening` settles. */
export async function watchPairs(
  pairs: readonly Pair[],
  happening: Promise<unknown>,
): Promise<Interruption[]> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  happening.then(end, end);
  return await Promise.all(
    pairs.map(async ({ from, to, address }) => {
      const answered: boolean[] = [];
      do {
        const { stdout } = await from.exec([
          ...['ping', '-n', '-i', String(PERIOD_MS / 1000), '-c', String(PER_RUN), '-W', '1'],
          address,
        ]);
        answered.push(...answersIn(stdout));
      } while (!over);
      return {
        from: from.node,
        to: to.node,
        address,
        sent: answered.length,
        lost: answered.filter((one) => !one).length,
        longestMs: longestGap(answered) * PERIOD_MS,
      };
    }),
  );
}

/** Of each ping of a run whether it was answered. */
export function answersIn(output: string): boolean[] {
  const sent = Number(/(\d+) packets transmitted/.exec(output)?.[1] ?? PER_RUN);
  const seen = new Set([...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence)));
  return Array.from({ length: sent }, (_, i) => seen.has(i + 1));
}

export function longestGap(answered: readonly boolean[]): number {
  let longest = 0;
  let current = 0;
  for (const one of answered) {
    current = one ? 0 : current + 1;
    longest = Math.max(longest, current);
  }
  return longest;
}
