/** Namespaces joined by veth pairs, and speakers in them: the ground on which firewall tests stand. */
import { execFileSync } from 'node:child_process';
import { type Netns, openNetns, within } from '../../../kernel/netns.ts';
import type { Ask, Protocol } from './commands.ts';
import { Speaker } from './speaker-process.ts';

/** Tests of what is dropped wait for it in vain. */
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
    await this.#speak().serve(protocol, host, port);
  }

  /** As whom the server there sees us; `ECONNREFUSED`, `ETIMEDOUT` … where there is no answer. */
  ask(protocol: Protocol, host: string, port: number, more: Partial<Ask> = {}): Promise<string> {
    return this.#speak().ask(protocol, host, port, more);
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

  #speak(): Speaker {
    this.#speaker ??= new Speaker(['nsenter', `--net=/run/netns/${this.name}`]);
    return this.#speaker;
  }
}
