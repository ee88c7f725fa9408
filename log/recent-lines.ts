/**
 * The newest lines of the log, kept in memory for `weftctl events`: lines of level `info` and above, even if standard
 * output gets fewer. Each line is kept as the text that was made for the log.
 */

/** Enough for an hour of a restless cluster, and less than half a megabyte. */
export const KEPT_LINES = 1000;
/** Of a longer line, which lists hundreds of changes, only the event is kept. */
const LONGEST_LINE = 4096;

export interface RecentLine {
  /** Counts from 1 since the process started. */
  readonly sequence: number;
  /** JSON, without its end of line. */
  readonly line: string;
}

export class RecentLines {
  readonly #lines: string[] = [];
  #next = 0;

  add(line: string): void {
    // A plain ring: the oldest line is replaced.
    this.#lines[this.#next % KEPT_LINES] = line.length > LONGEST_LINE ? shortened(line) : line;
    this.#next++;
  }

  /** Lines after a sequence number, oldest first; a number of an earlier process is taken as 0. */
  after(sequence: number): RecentLine[] {
    const from = sequence > this.#next ? 0 : sequence;
    const oldest = Math.max(from, this.#next - KEPT_LINES, 0);
    return Array.from({ length: this.#next - oldest }, (_, i) => ({
      sequence: oldest + i + 1,
      line: this.#lines[(oldest + i) % KEPT_LINES] ?? '',
    }));
  }

  /** The last ones, oldest first. */
  newest(count: number): RecentLine[] {
    return this.after(Math.max(0, this.#next - count));
  }
}

/** Its time, level, event and message. */
function shortened(line: string): string {
  const { level, time, pid, event, msg } = JSON.parse(line);
  return JSON.stringify({ level, time, pid, event, shortened: true, msg });
}
