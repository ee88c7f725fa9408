/** Namespaces joined by veth pairs, and speakers in them: the ground on which firewall tests stand. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Netns, openNetns, within } from '../../../kernel/netns.ts';
import type { Ask, Command, Outcome, Protocol } from './commands.ts';

/** Long enough for an answer on a busy machine; tests of what is dropped wait for it in vain. */
const ANSWER_MS = 3000;
const SILENCE_MS = 400;

export class Ground {
  readonly #prefix: string;
  readonly #places = new Map<string, Place>();

  constructor(name: string) {
    this.#prefix = `weft-t-${process.pid}-${name}`;
  }

  /** A new namespace with `lo` up, set up by lines of `ip`'s arguments. */
  place(name: string, ...setup: string[]): Place {
    const place = new Place(`${this.#prefix}-${name}`);
    this.#places.set(name, place);
    place.ip('link set lo up', ...setup);
    return place;
  }

  /** Joins two places by a veth pair; both ends are up. */
  join(a: Place, aName: string, b: Place, bName: string): void {
    a.ip(`link add ${aName} type veth peer name ${bName} netns ${b.name}`, `link set ${aName} up`);
    b.ip(`link set ${bName} up`);
  }

  close(): void {
    for (const place of this.#places.values()) place.close();
  }
}

export class Place {
  readonly name: string;
  readonly netns: Netns;
  #speaker: Speaker | undefined;

  constructor(name: string) {
    this.name = name;
    execFileSync('ip', ['netns', 'add', name]);
    this.netns = openNetns(`/run/netns/${name}`);
  }

  /** Runs each line of arguments with `ip`. */
  ip(...lines: string[]): void {
    execFileSync('ip', ['-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  run(command: string, ...args: string[]): string {
    const child = ['netns', 'exec', this.name, command, ...args];
    return execFileSync('ip', child, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  sysctl(key: string, value: string): void {
    this.run('sysctl', '-qw', `${key}=${value}`);
  }

  within<T>(block: () => T): T {
    return within(this.netns, block);
  }

  /** Serves on a port, saying to each who asks as whom it sees him. */
  async serve(protocol: Protocol, host: string, port: number): Promise<void> {
    const { error } = await this.#speak({ op: 'serve', protocol, host, port });
    if (error) throw new Error(`${this.name} cannot serve ${protocol} ${host} ${port}: ${error}`);
  }

  /** As whom the server there sees us; `ECONNREFUSED`, `ETIMEDOUT` … where there is no answer. */
  async ask(protocol: Protocol, host: string, port: number, more: Partial<Ask> = {}): Promise<string> {
    const timeoutMs = more.timeoutMs ?? ANSWER_MS;
    const { answer, error } = await this.#speak({ ...more, op: 'ask', protocol, host, port, timeoutMs });
    return answer ?? error ?? '';
  }

  /** The same where no answer is expected: does not wait for long. */
  askInVain(protocol: Protocol, host: string, port: number, more: Partial<Ask> = {}): Promise<string> {
    return this.ask(protocol, host, port, { ...more, timeoutMs: SILENCE_MS });
  }

  close(): void {
    this.#speaker?.close();
    this.netns.close();
    execFileSync('ip', ['netns', 'del', this.name]);
  }

  #speak(command: Command): Promise<Outcome> {
    this.#speaker ??= new Speaker(this.name);
    return this.#speaker.tell(command);
  }
}

class Speaker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  readonly #ready: Promise<Outcome>;
  #next = 1;

  constructor(netns: string) {
    const program = fileURLToPath(new URL('./speaker.js', import.meta.url));
    const args = [`--net=/run/netns/${netns}`, process.execPath, program];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ready = new Promise((resolve) => this.#waiting.set(0, resolve));
    const { stdout } = this.#child;
    if (!stdout) throw new Error('a speaker without a voice');
    createInterface({ input: stdout }).on('line', (line) => {
      const { id, outcome }: { id: number; outcome: Outcome } = JSON.parse(line);
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
  }

  async tell(command: Command): Promise<Outcome> {
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
