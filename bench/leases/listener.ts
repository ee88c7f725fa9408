/** Programs that report notifications with the time of their arrival, not the time at which the report is read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const longestMs = 60_000;

/** Routes as they are notified in its network namespace. */
export const routeMonitor = ['env', 'TZ=UTC', 'ip', '-ts', '-o', 'monitor', 'route'] as const;

/** Milliseconds since 1970, as the programs' times are. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/** A program whose lines are read as they come, each with its own time. */
export class Listener {
  readonly #child: ChildProcess;
  /** By what was heard of: when first, and who waits for it. */
  readonly #heard = new Map<string, number>();
  readonly #waiting = new Map<string, (atMs: number) => void>();

  /** `read`: what a line reports, and when. */
  constructor(
    [program = '', ...args]: readonly string[],
    read: (line: string) => [string, number] | undefined,
  ) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    if (!this.#child.stdout) throw new Error(`${program} has no output`);
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const [what, atMs] = read(line) ?? [];
      if (what === undefined || atMs === undefined || this.#heard.has(what)) return;
      this.#heard.set(what, atMs);
      this.#waiting.get(what)?.(atMs);
    });
  }

  heard(what: string): Promise<number> {
    const known = this.#heard.get(what);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nothing of ${what} for ${longestMs} ms`)), longestMs);
      this.#waiting.set(what, (atMs) => {
        clearTimeout(late);
        resolve(atMs);
      });
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

/** `[2026-11-21T16:44:29.123456] 10.244.3.0/24 via ...`: the route, and its time in UTC. */
export function readRoute(line: string): [string, number] | undefined {
  const [, date, micros, prefix] = /^\[([\d-]+T[\d:]+)\.(\d{6})\] (\d[\d.]+\/\d+) /.exec(line) ?? [];
  return prefix === undefined ? undefined : [prefix, Date.parse(`${date}Z`) + Number(micros) / 1000];
}
