/** A ping every 2 ms between two pods, with the time of each answer: how long nothing came through. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabPod } from '../../lab/pod.ts';

export interface Gap {
  /** Milliseconds from the damage (or the end of its cause) to the first answer after the gap; 0: no gap. */
  readonly repairMs: number;
  readonly lost: number;
}

interface Answer {
  readonly sequence: number;
  /** Since 1970. */
  readonly atMs: number;
}

export class PingStream {
  readonly #child;
  #output = '';

  constructor(from: LabPod, address: string) {
    const [program = '', ...args] = from.command(['ping', '-n', '-D', '-i', '0.002', address]);
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env: from.node.environment() });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk;
    });
  }

  get answers(): Answer[] {
    return [...this.#output.matchAll(/^\[([\d.]+)\].*icmp_seq=(\d+) ttl/gm)].map(([, seconds, sequence]) => ({
      sequence: Number(sequence),
      atMs: Number(seconds) * 1000,
    }));
  }

  /** Waits until this many more answers have come, at most so long. */
  async more(count: number, withinMs: number): Promise<void> {
    const target = this.answers.length + count;
    for (const since = performance.now(); this.answers.length < target; await delay(5)) {
      if (performance.now() - since > withinMs) return;
    }
  }

  /** What was lost after `sinceMs`, and when it was over, counted from `fromMs`. */
  gap(sinceMs: number, fromMs: number): Gap {
    const answers = this.answers;
    let lost = 0;
    let overMs = fromMs;
    answers.forEach((answer, i) => {
      const before = answers[i - 1];
      const missing = before ? answer.sequence - before.sequence - 1 : 0;
      if (missing <= 0 || answer.atMs < sinceMs) return;
      lost += missing;
      overMs = Math.max(overMs, answer.atMs);
    });
    return { repairMs: overMs - fromMs, lost };
  }

  stop(): void {
    this.#child.kill('SIGINT');
  }
}
