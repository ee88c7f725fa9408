/** What the lab's tests stand on: a lab of one's own, what is left of it on this machine, and pings that go on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { run } from '../../lab/command.ts';
import type { Configuration } from '../../lab/configuration.ts';
import { Lab, type LabOptions } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import type { LabPod } from '../../lab/pod.ts';

/** A name that no other test file and no person uses at the same time. */
export const labName = (word: string): string => `t${process.pid}-${word}`;

/** Brings up a lab, hands it over, and takes it down whatever happens. */
export async function withLab(
  options: LabOptions & { name: string },
  use: (lab: Lab) => Promise<void>,
): Promise<void> {
  try {
    await use(await Lab.up(options));
  } finally {
    await Lab.down(options.name);
  }
}

/** Two pods on each node of a lab: `node-1-a`, `node-1-b`, ... */
export const twoPodsEach = (lab: Lab): Promise<LabPod[]> =>
  Promise.all(
    lab.nodes.flatMap(({ name }) => ['a', 'b'].map((letter) => lab.pod(name, `${letter}-${name}`))),
  );

/** What this machine still has of a lab, in people's words; found by other means than the lab's own. */
export async function leftovers(lab: string): Promise<string[]> {
  const namespaces = (await run(['ip', 'netns', 'list'])).stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  const links = (await run(['ip', '-o', 'link'])).stdout.split('\n');
  return [
    ...namespaces.filter((name) => name.startsWith(`weft-${lab}-`)).map((name) => `namespace ${name}`),
    ...links.filter((link) => /: (weft|cni0|segment-|node-)/.test(link)).map((link) => `link ${link}`),
    ...processes(lab),
    ...read('/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(`/run/weft-lab/${lab}`)),
    ...list('/run/weft-lab')
      .filter((name) => name === lab)
      .map((name) => `folder ${name}`),
  ];
}

const processes = (lab: string): string[] =>
  list('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter(
      (pid) =>
        read(`/proc/${pid}/environ`).includes(`WEFT_LAB=${lab}\0`) ||
        read(`/proc/${pid}/mountinfo`).includes(`/run/weft-lab/${lab}/`),
    )
    .map((pid) => `process ${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);

/** Gives nodes another configuration as an operator would: the file, then SIGHUP. */
export function reconfigure(nodes: readonly LabNode[], change: Configuration): void {
  for (const node of nodes) {
    const path = node.path('/etc/weft/weft.yaml');
    writeFileSync(path, stringify({ ...parse(readFileSync(path, 'utf8')), ...change }));
    node.agent.signal('SIGHUP');
  }
}

/** Far above what anything takes, for machines that are busy with other things. */
const LONGEST_MS = 20_000;

/** Resolves once the assertions hold; throws what they say if they do not after a long time. */
export async function eventually<T>(assertions: () => Promise<T> | T, withinMs = LONGEST_MS): Promise<T> {
  for (const since = performance.now(); ; await delay(20)) {
    try {
      return await assertions();
    } catch (error) {
      if (performance.now() - since > withinMs) throw error;
    }
  }
}

/** A ping that goes on until it is asked how it went: every 10 ms unless told otherwise. */
export class SteadyPing {
  readonly #child;
  #output = '';

  constructor(
    from: Pick<LabPod, 'command' | 'node'>,
    to: Pick<LabPod, 'addresses'>,
    address: string | undefined = to.addresses[0],
    everyMs = 10,
  ) {
    const interval = String(everyMs / 1000);
    const [program = '', ...args] = from.command(['ping', '-n', '-i', interval, address ?? '']);
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env: from.node.environment() });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk;
    });
  }

  /**
   * Waits for some more answers, so that what happened last is behind us, and ends it. Returns how many were answered
   * and the sequence numbers that were not, up to the last that was.
   */
  async end(): Promise<{ answered: number; lost: number[] }> {
    const target = this.#answered().size + 20;
    for (const since = Date.now(); this.#answered().size < target && Date.now() - since < 5000; )
      await delay(10);
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGINT');
    await closed;
    const answered = this.#answered();
    const sent = Math.max(target, ...answered);
    const lost = Array.from({ length: sent }, (_, i) => i + 1).filter((sequence) => !answered.has(sequence));
    return { answered: answered.size, lost };
  }

  /** Resolves once there are that many answers. */
  async answers(count: number): Promise<void> {
    await eventually(() => assert.ok(this.#answered().size >= count, `${count} answers`), 120_000);
  }

  #answered(): Set<number> {
    return new Set([...this.#output.matchAll(/icmp_seq=(\d+) ttl/g)].map((match) => Number(match[1])));
  }
}

type Pingable = Pick<LabPod, 'command' | 'node' | 'addresses'>;

/** Steady pings both ways between two pods while it happens: none may be lost. */
export async function whilePinging(
  [one, two]: readonly [Pingable, Pingable],
  happen: () => Promise<void>,
): Promise<void> {
  const pings = [new SteadyPing(one, two), new SteadyPing(two, one)];
  try {
    await happen();
  } finally {
    for (const ping of pings) assert.deepEqual((await ping.end()).lost, []);
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // a process that has ended meanwhile
  }
}
