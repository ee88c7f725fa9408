/** One who serves and asks somewhere: in a namespace, behind whatever has to be put before a command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Ask, Command, Outcome, Protocol } from './commands.ts';

/** Long enough for an answer on a busy machine. */
const ANSWER_MS = 20_000;

/** speaker.ts as a process; it speaks once it has been asked to, and ends when it is closed. */
export class Speaker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  readonly #ready: Promise<Outcome>;
  #next = 1;

  /** `prefix`: what to put before a command so that it runs there. */
  constructor(prefix: readonly string[]) {
    const program = fileURLToPath(new URL('./speaker.js', import.meta.url));
    const [command = '', ...args] = [...prefix, process.execPath, program];
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ready = new Promise((resolve) => this.#waiting.set(0, resolve));
    const { stdout } = this.#child;
    if (!stdout) throw new Error('a speaker without a voice');
    createInterface({ input: stdout }).on('line', (line) => {
      const { id, outcome }: { id: number; outcome: Outcome } = JSON.parse(line);
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
  }

  /** Serves on a port, saying to each who asks as whom it sees him. */
  async serve(protocol: Protocol, host: string, port: number): Promise<void> {
    const { error } = await this.#tell({ op: 'serve', protocol, host, port });
    if (error) throw new Error(`cannot serve ${protocol} ${host} ${port}: ${error}`);
  }

  /** As whom the server there sees us; `ECONNREFUSED`, `ETIMEDOUT` … where there is no answer. */
  async ask(protocol: Protocol, host: string, port: number, more: Partial<Ask> = {}): Promise<string> {
    const timeoutMs = more.timeoutMs ?? ANSWER_MS;
    const { answer, error } = await this.#tell({ ...more, op: 'ask', protocol, host, port, timeoutMs });
    return answer ?? error ?? '';
  }

  async #tell(command: Command): Promise<Outcome> {
    await this.#ready;
    const id = this.#next++;
    const outcome = new Promise<Outcome>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin?.write(`${JSON.stringify({ id, command })}\n`);
    return outcome;
  }

  close(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}
