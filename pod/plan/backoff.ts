/**
 * How long a container waits before it is started again: the kubelet's rule (`pkg/kubelet/kuberuntime`, `doBackOff`;
 * `client-go/util/flowcontrol/backoff.go`). The first restart is at once, the next ones 10 s, 20 s, ... 5 min after the
 * end; after 10 min without an end the delay is reset.
 */
export interface Backoff {
  readonly delayMs: number;
  /** When the last restart was. */
  readonly sinceMs: number;
}

export const firstDelayMs = 10_000;
export const longestDelayMs = 300_000;

/** Also where the last restart is in the future: the clock was ahead then. */
const isOver = ({ sinceMs }: Backoff, atMs: number): boolean =>
  sinceMs > atMs + longestDelayMs || atMs - sinceMs > 2 * longestDelayMs;

/**
 * When a container that ended at `endedMs` may be started again (milliseconds since the epoch). An end after `nowMs`
 * was seen on a clock that was ahead and says nothing: it may be started now.
 */
export const restartAt = (backoff: Backoff | undefined, endedMs: number, nowMs = endedMs): number => {
  if (endedMs > nowMs) return nowMs;
  return backoff && !isOver(backoff, endedMs) ? endedMs + backoff.delayMs : endedMs;
};

/** Whether an attempt must wait until `untilMs`; a wait longer than any is of a clock that was ahead. */
export const mustWait = (untilMs: number, nowMs: number): boolean =>
  untilMs > nowMs && untilMs - nowMs <= longestDelayMs;

/** What holds after a restart at `nowMs`. */
export const afterRestart = (backoff: Backoff | undefined, nowMs: number): Backoff => ({
  delayMs: backoff && !isOver(backoff, nowMs) ? Math.min(2 * backoff.delayMs, longestDelayMs) : firstDelayMs,
  sinceMs: nowMs,
});
