/** A pod of the lab: a network namespace on its node, connected by the node's CNI configuration. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type Outcome, type RunOptions, run, runAttached } from './command.ts';
import { onGround, podNetnsPath } from './ground.ts';
import { checkPodName, containerId } from './names.ts';
import type { LabNode } from './node.ts';
import type { Endpoint } from './ping.ts';
import { addSandbox, delSandbox } from './sandbox.ts';
import { type PodRecord, podFile, savePod } from './state.ts';
import type { Station } from './trace.ts';

export class LabPod implements Endpoint {
  readonly name: string;
  readonly node: LabNode;
  readonly containerId: string;
  /** One per family, without their length. */
  readonly addresses: readonly string[];

  constructor(request: { node: LabNode; record: PodRecord }) {
    this.name = request.record.name;
    this.node = request.node;
    this.containerId = request.record.containerId;
    this.addresses = request.record.addresses;
  }

  /**
   * Makes the namespace and ADDs it to the network. The record is written first: after a crash the pod can
   * still be removed. If ADD fails, DEL follows as from a runtime, and nothing is left.
   */
  static async add(request: { node: LabNode; name: string }): Promise<LabPod> {
    const { node } = request;
    const name = checkPodName(request.name);
    const id = containerId(`${node.lab}/${name}/${randomBytes(16).toString('hex')}`);
    const record: PodRecord = { name, node: node.name, containerId: id, addresses: [] };
    savePod(node.lab, record);
    try {
      await node.mustExec(['ip', 'netns', 'add', name]);
      const addresses = await addSandbox({ node, containerId: id, netns: `/run/netns/${name}` });
      const added = { ...record, addresses };
      savePod(node.lab, added);
      return new LabPod({ node, record: added });
    } catch (error) {
      await new LabPod({ node, record }).remove();
      throw error;
    }
  }

  get host(): string {
    return this.node.name;
  }

  get netns(): string {
    return `/run/netns/${this.name}`;
  }

  /** DEL, then the namespace goes. */
  async remove(): Promise<void> {
    await delSandbox({ node: this.node, containerId: this.containerId, netns: this.netns });
    await this.node.mustExec([
      'sh',
      '-c',
      'test ! -e "$1" || ip netns delete "$2"',
      'sh',
      this.netns,
      this.name,
    ]);
    rmSync(podFile(this.node.lab, { node: this.node.name, name: this.name }), { force: true });
  }

  /** Runs a program in the pod's network; its failure is a status. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return run(this.command(argv), { ...options, env: this.node.environment(options.env) });
  }

  /** Runs a program on our own terminal; resolves to its exit status. */
  attach(argv: readonly string[]): Promise<number> {
    return runAttached(this.command(argv), this.node.environment());
  }

  /** For a trace. */
  get station(): Station {
    const { lab, name: node } = this.node;
    return {
      name: `pod ${this.name}`,
      netns: podNetnsPath({ lab, node, pod: this.name }),
      links: async () => JSON.parse((await this.exec(['ip', '-j', 'link'])).stdout),
    };
  }

  /** The command line that runs a program in the pod. */
  command(argv: readonly string[]): string[] {
    return onGround({ lab: this.node.lab, node: this.node.name, pod: this.name }, argv);
  }
}
