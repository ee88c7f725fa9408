/** The executables under fire: an agent that listens, six sandboxes, and what is left when all is taken away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startAgent } from '../conformance/agent.ts';
import { Ground } from '../conformance/ground.ts';
import { type FuzzCall, pods } from './calls.ts';
import type { FuzzExit } from './verdict.ts';

const executable = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/cni/${name}`, import.meta.url));

/** The relay waits for 25 s for its answer, and 10 s for its input. */
const HANG_MS = 40_000;

export class Target {
  readonly #ground: Ground;
  readonly #agent: ChildProcess;

  private constructor(ground: Ground, agent: ChildProcess) {
    this.#ground = ground;
    this.#agent = agent;
  }

  static async open(): Promise<Target> {
    const ground = await Ground.open();
    const agent = await startAgent(ground);
    const netns = pods.map((pod) => `ip netns add ${pod}`).join(' && ');
    await ground.must('sh', '-c', `${netns} && echo text >/run/trial/file`);
    return new Target(ground, agent);
  }

  async close(): Promise<void> {
    await this.#ground.close();
  }

  get agentLives(): boolean {
    return this.#agent.exitCode === null && this.#agent.signalCode === null;
  }

  async execute(call: FuzzCall): Promise<FuzzExit> {
    const [command = '', ...prefix] = this.#ground.prefix;
    const child = spawn(command, [...prefix, executable(call.executable)], {
      env: { PATH: process.env.PATH, ...spawnable(call.env) },
    });
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, HANG_MS);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text;
      });
    }
    child.stdin.on('error', () => {}); // it need not read all of it
    child.stdin.end(call.stdin);
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    return { status, signal, hung, ...output };
  }

  /** DELs everything that is on record; what is left then, in words. */
  async clear(): Promise<string> {
    const records = await this.#ground.must(
      'sh',
      '-c',
      'cat /run/weft/attachments/*.json 2>/dev/null || true',
    );
    const lines = records.split('\n').filter((line) => line !== '');
    const keys = new Map(lines.map((line) => [keyOf(line), JSON.parse(line)]));
    for (const { network, containerId, ifname } of keys.values()) {
      const stdin = Buffer.from(JSON.stringify({ cniVersion: '1.1.0', name: network }));
      const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: containerId, CNI_IFNAME: ifname };
      const { status, stdout } = await this.execute({ executable: 'weft', env, stdin });
      if (status !== 0) return `DEL of ${network}/${containerId}/${ifname}: ${stdout}`;
    }
    return (await this.#ground.must('sh', '-c', whatIsLeft)).trim();
  }
}

const whatIsLeft = `
ip -o link show type veth
ip -o link show type ifb
cd /run/weft && find attachments ipam ipam-order/*/new tombstones -type f 2>/dev/null
nft list ruleset | grep 'comment "weft:' || true
`;

function keyOf(line: string): string {
  const { network, containerId, ifname } = JSON.parse(line) as Record<string, string>;
  return `${network} ${containerId} ${ifname}`;
}

/** What execve takes: no NUL, at most 128 KiB each. */
const spawnable = (env: FuzzCall['env']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).map(([key, value]) => [key, value.replaceAll('\0', '').slice(0, 30_000)]),
  );
