/** What a suite yields: one figure per line of the table. */

export interface Figure {
  /** What was measured, in words. */
  readonly what: string;
  /** Ours, in `unit`. */
  readonly ours: number;
  /** The peer's of the same run; undefined where there is none. */
  readonly peer: { readonly name: string; readonly value: number } | undefined;
  readonly unit: string;
  /** What was aimed at, in words: `<= 0.25 of the peer`. */
  readonly target: string | undefined;
  /** Whether the target was met; undefined where there is none. */
  readonly met: boolean | undefined;
}

export interface SuiteContext {
  /** One line on what is being done, for whoever waits. */
  readonly progress: (text: string) => void;
}

/** Measures; leaves nothing behind. */
export type Suite = (context: SuiteContext) => Promise<readonly Figure[]>;

/** A figure without a target. */
export const plain = (figure: Omit<Figure, 'target' | 'met'>): Figure => ({
  ...figure,
  target: undefined,
  met: undefined,
});

/** A figure that must be at most `most`, in its unit. */
export const atMost = (most: number, figure: Omit<Figure, 'target' | 'met'>): Figure => ({
  ...figure,
  target: `<= ${most} ${figure.unit}`,
  met: figure.ours <= most,
});

/** A figure that must be at most `most` times its peer's. */
export function atMostOfPeer(most: number, figure: Omit<Figure, 'target' | 'met'>): Figure {
  const { ours, peer } = figure;
  return {
    ...figure,
    target: `<= ${most} of the peer`,
    met: peer === undefined ? undefined : ours / peer.value <= most,
  };
}

/** A figure that must not differ from its peer's by more than `share` of it. */
export function withinOfPeer(share: number, figure: Omit<Figure, 'target' | 'met'>): Figure {
  const { ours, peer } = figure;
  return {
    ...figure,
    target: `within ${share * 100} % of the peer`,
    met: peer === undefined ? undefined : Math.abs(ours / peer.value - 1) <= share,
  };
}

/** The value below which the given share of the samples lies (0.5: the median). */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);
