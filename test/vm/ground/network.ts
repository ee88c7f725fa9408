/**
 * What is around the virtual machines: a network namespace with a switch between them (the private network of a
 * Vagrantfile, the host at .1) and, behind the user-mode NAT that each has on its first interface, an outside.
 */
import { spawn, spawnSync } from 'node:child_process';
import { run } from './run.ts';

export const outsideAddress = '203.0.113.80';
export const outsidePort = 8080;
export const outsideAnswer = 'hello from outside';

export class Surroundings {
  readonly name: string;
  readonly #over = new AbortController();

  private constructor(name: string) {
    this.name = name;
  }

  static async make(name: string, interfaces: readonly string[]): Promise<Surroundings> {
    const surroundings = new Surroundings(name);
    await run(['ip', 'netns', 'add', name]);
    const commands = [
      'link set lo up',
      `address add ${outsideAddress}/32 dev lo`,
      'link add private type bridge stp_state 0 forward_delay 0',
      'address add 192.168.56.1/24 dev private',
      'link set private up',
      ...interfaces.flatMap((tap) => [`tuntap add ${tap} mode tap`, `link set ${tap} master private up`]),
    ];
    await run(['ip', '-n', name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
    surroundings.#serveOutside();
    return surroundings;
  }

  /** A command, inside. */
  enter(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.name}`, '--', ...argv];
  }

  /** The same for one that runs on: it ends with this process, whatever ends that. */
  enterForLife(argv: readonly string[]): string[] {
    return this.enter(['setpriv', '--pdeathsig', 'KILL', '--', ...argv]);
  }

  remove(): void {
    this.#over.abort();
    spawnSync('ip', ['netns', 'delete', this.name], { stdio: 'inherit' });
  }

  /** Answers HTTP with a line and with the address that it was asked from. */
  #serveOutside(): void {
    const program = `require('node:http').createServer((request, response) =>
      response.end('${outsideAnswer}\\n')).listen(${outsidePort}, '${outsideAddress}')`;
    const [nsenter = '', ...args] = this.enterForLife([process.execPath, '-e', program]);
    const server = spawn(nsenter, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      signal: this.#over.signal,
    });
    server.on('error', (error) => {
      if (!this.#over.signal.aborted) throw error;
    });
  }
}
