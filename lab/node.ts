/** One node of a running lab. */
import { join } from 'node:path';
import { agentOf } from './agent.ts';
import { mustRun, type Outcome, type RunOptions, run, runAttached } from './command.ts';
import type { Daemon } from './daemon.ts';
import { LabError } from './errors.ts';
import { onGround, ownFolders } from './ground.ts';
import { netnsPath, nodeFolder, processMark } from './names.ts';
import type { Endpoint } from './ping.ts';
import { type Member, plainAddress } from './topology.ts';
import type { Station } from './trace.ts';

export class LabNode implements Endpoint {
  readonly lab: string;
  readonly name: string;
  /** On the underlay, without their length. */
  readonly addresses: readonly string[];
  readonly segment: number;
  readonly agent: Daemon;

  constructor(request: { lab: string; member: Member; weftd: string }) {
    this.lab = request.lab;
    this.name = request.member.name;
    this.segment = request.member.segment;
    this.addresses = request.member.addresses.map(plainAddress);
    this.agent = agentOf({ lab: this.lab, node: this.name, weftd: request.weftd });
  }

  /** Runs a program on the node; its failure is a status. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run(onGround(this.#place, argv), { ...options, env: this.environment(options.env) });
  }

  /** The same where failure is not expected: throws `LabError` with what it wrote. Returns its output. */
  mustExec(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRun(onGround(this.#place, argv), { ...options, env: this.environment(options.env) });
  }

  /** The command that runs a program on the node, for a caller that starts it itself. */
  command(argv: readonly string[]): readonly string[] {
    return onGround(this.#place, argv);
  }

  /** Runs a program on our own terminal; resolves to its exit status. */
  attach(argv: readonly string[]): Promise<number> {
    return runAttached(onGround(this.#place, argv), this.environment());
  }

  /** What a program prints as JSON: `ip -j`, `bridge -j`, `nft -j`. */
  async json(argv: readonly string[]): Promise<unknown> {
    const output = await this.mustExec(argv);
    return output.trim() === '' ? [] : JSON.parse(output);
  }

  /** Where a file in one of the node's own folders (`/run`, `/var/lib`, `/etc/cni`, ...) is on the host. */
  path(inside: string): string {
    if (!ownFolders.some((own) => inside === own || inside.startsWith(`${own}/`))) {
      throw new LabError(`${inside} is not in a folder of the node's own: ${ownFolders.join(', ')}`);
    }
    return join(nodeFolder(this.lab, this.name), inside);
  }

  /** Ours, with the lab's mark. */
  environment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
    return { ...env, [processMark]: this.lab };
  }

  get host(): string {
    return this.name;
  }

  /** For a trace. */
  get station(): Station {
    return {
      name: this.name,
      netns: netnsPath(this.lab, this.name),
      links: () => this.json(['ip', '-j', 'link']),
    };
  }

  get #place(): { lab: string; node: string } {
    return { lab: this.lab, node: this.name };
  }
}
