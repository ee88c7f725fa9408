/**
 * A host to try a plugin on: a network and a mount namespace of its own, with an empty `/run`,
 * `/var/lib` and `/etc/cni`. All of it, pods included, is gone once its one process is.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { Speaker } from '../kernel/traffic/speaker-process.ts';

const furnish = [
  'mount -t tmpfs run /run',
  'mount -t tmpfs lib /var/lib',
  'mount -t sysfs sysfs /sys',
  'mkdir -p /etc/cni',
  'mount -t tmpfs cni /etc/cni',
  'mkdir /run/netns /run/trial',
  'ip link set lo up',
  'echo ready',
  'exec sleep infinity',
].join(' && ');

export interface CommandExit {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Ground {
  /** What to put before a command so that it runs there. */
  readonly prefix: readonly string[];
  readonly #holder: ChildProcess;
  readonly #children: ChildProcess[] = [];
  readonly #speakers: Speaker[] = [];

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    this.prefix = ['nsenter', `--target=${holder.pid}`, '--net', '--mount', '--'];
  }

  static async open(): Promise<Ground> {
    const command = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', furnish];
    const holder = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    // What unshare execs keeps its process id, so killing the child ends the namespaces.
    const [first] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    if (String(first).trim() !== 'ready')
      throw new Error('no namespace could be made for a trial: is this root?');
    return new Ground(holder);
  }

  /** Ends what was started, and the namespaces with it. */
  async close(): Promise<void> {
    for (const speaker of this.#speakers) speaker.close();
    for (const child of [...this.#children, this.#holder]) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await ended;
    }
  }

  /** A program that stays; it is killed on closing. */
  start(argv: readonly string[]): ChildProcess {
    const [command = '', ...args] = [...this.prefix, ...argv];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#children.push(child);
    return child;
  }

  /** Serves and asks in that pod, or beside the host. */
  speaker(pod?: string): Speaker {
    const speaker = new Speaker([...this.prefix, ...(pod === undefined ? [] : ['ip', 'netns', 'exec', pod])]);
    this.#speakers.push(speaker);
    return speaker;
  }

  async run(argv: readonly string[], stdin = ''): Promise<CommandExit> {
    const [command = '', ...args] = [...this.prefix, ...argv];
    const child = spawn(command, args);
    child.stdin.on('error', () => {}); // a command that reads nothing may be gone by now
    child.stdin.end(stdin);
    const [[status], stdout, stderr] = await Promise.all([
      once(child, 'close'),
      text(child.stdout),
      text(child.stderr),
    ]);
    return { status: Number(status ?? 255), stdout, stderr };
  }

  /** The same; throws what it said if it fails. */
  async must(...argv: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(argv);
    if (status !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr || stdout}`);
    return stdout;
  }
}
