/** Where a storm goes over: a host with an agent that comes and goes, pods, and the executables. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runAgent, startAgent } from '../conformance/agent.ts';
import { Ground } from '../conformance/ground.ts';
import { complaintAbout, type FuzzExit } from '../fuzz/verdict.ts';
import { ifnameOf, networks, podNames, runtimeConfigOf, type StormCall } from './round.ts';

const weft = fileURLToPath(new URL('../../../dist/cni/weft', import.meta.url));

/** No runtime waits for longer. */
const HANG_MS = 60_000;

export type CallExit = FuzzExit & {
  /** What is wrong with the answer; of a killed call nothing is expected. */
  readonly complaint: string | undefined;
};

const DEL_ATTEMPTS = 4;

export interface PodAddress {
  readonly address: string;
  /** `pod/interface` */
  readonly owner: string;
}

export class StormGround {
  readonly #ground: Ground;
  #agent: ChildProcess | undefined;

  private constructor(ground: Ground, agent: ChildProcess) {
    this.#ground = ground;
    this.#agent = agent;
  }

  static async open(): Promise<StormGround> {
    const ground = await Ground.open();
    try {
      const agent = await startAgent(ground);
      await ground.must('sh', '-c', podNames.map((pod) => `ip netns add ${pod}`).join(' && '));
      return new StormGround(ground, agent);
    } catch (error) {
      await ground.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#ground.close();
  }

  async ensureAgent(): Promise<void> {
    if (this.#agent && this.#agent.exitCode === null && this.#agent.signalCode === null) return;
    this.#agent = await runAgent(this.#ground);
  }

  /** Resolves when it is dead. */
  async killAgent(): Promise<void> {
    const agent = this.#agent;
    if (!agent || agent.exitCode !== null || agent.signalCode !== null) return;
    const ended = once(agent, 'exit');
    agent.kill('SIGKILL');
    await ended;
  }

  /**
   * What a killed agent leaves is a socket on which nobody listens. A DEL that is told to try again later, because
   * the machine is too busy for all that works on its attachment, is done again as a runtime would.
   */
  async call(call: StormCall, more: object = {}): Promise<CallExit> {
    for (let attempt = 1; ; attempt++) {
      const exit = await this.#callOnce(call, more);
      if (call.verb === 'ADD' || attempt === DEL_ATTEMPTS || !exit.stdout.includes('"code":11,')) return exit;
    }
  }

  async #callOnce(call: StormCall, more: object): Promise<CallExit> {
    const { verb, pod, network } = call;
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod,
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: ifnameOf(network),
    };
    const config = { ...networks[network], runtimeConfig: runtimeConfigOf(pod), ...more };
    return await this.#execute({ env, config, killAfterMs: call.killAfterMs });
  }

  async gc(network: number): Promise<CallExit> {
    const config = { ...networks[network], 'cni.dev/valid-attachments': [] };
    return await this.#execute({ env: { CNI_COMMAND: 'GC' }, config, killAfterMs: undefined });
  }

  async #execute(options: {
    env: Record<string, string>;
    config: object;
    killAfterMs: number | undefined;
  }): Promise<CallExit> {
    const { env, config, killAfterMs } = options;
    const [command = '', ...prefix] = this.#ground.prefix;
    const child = spawn(command, [...prefix, weft], { env: { PATH: process.env.PATH, ...env } });
    let hung = false;
    const timer = setTimeout(() => {
      hung = killAfterMs === undefined;
      child.kill('SIGKILL');
    }, killAfterMs ?? HANG_MS);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text;
      });
    }
    child.stdin.on('error', () => {}); // it may be dead by now
    const stdin = Buffer.from(JSON.stringify(config));
    child.stdin.end(stdin);
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    const exit = { status, signal, hung, ...output };
    const killed = signal !== null && killAfterMs !== undefined;
    const complaint = killed ? undefined : complaintAbout({ executable: 'weft', env, stdin }, exit);
    return { ...exit, complaint };
  }

  /** Global addresses that interfaces in pods have now, with the pod and interface of each. */
  async addressesInPods(): Promise<PodAddress[]> {
    const script = podNames.map((pod) => `ip -n ${pod} -o addr show scope global | sed 's/^/${pod} /'`);
    const lines = (await this.#ground.must('sh', '-c', script.join('\n'))).split('\n');
    return lines
      .filter((line) => line !== '')
      .map((line) => {
        const [pod, , ifname, , address = ''] = line.split(/\s+/);
        return { owner: `${pod}/${ifname}`, address: address.replace(/\/.*/, '') };
      });
  }

  /** Who has which address on record, as `addressesInPods` has it. */
  async addressesOnRecord(): Promise<ReadonlyMap<string, string>> {
    const files = await this.#ground.must('sh', '-c', 'cd /run/weft/ipam && grep -r "" . || true');
    const entries = files
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [, address = '', record = ''] = /([^/]+?):(\{.*)$/.exec(line) ?? [];
        const { containerId, ifname } = JSON.parse(record) as { containerId: string; ifname: string };
        return [address, `${containerId}/${ifname}`] as const;
      });
    return new Map(entries);
  }

  /** What of pods is there, once the DELs that are owed have been done; a line for each thing. */
  async whatIsLeft(): Promise<string> {
    return (await this.#ground.must('sh', '-c', whatIsLeft)).trim();
  }
}

const whatIsLeft = `
for i in $(seq 600); do [ -z "$(ls /run/weft/tombstones 2>/dev/null)" ] && break; sleep 0.1; done
ip -o link show type veth
ip -o link show type ifb
cd /run/weft && find attachments ipam ipam-order/*/new tombstones -type f 2>/dev/null
nft list ruleset | grep 'comment "weft:'
true
`;
