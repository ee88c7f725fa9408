/** The subnet file as a part of the host's reconciler: pods are made once it is there, so it comes last. */
import type { HostState } from '../overlay/state.ts';
import type { Part, PartOutcome, PartPlan, Pass } from '../reconcile/part.ts';
import { isSubnetFile, type SubnetFile, writeSubnetFile } from './subnet-file.ts';

export class SubnetFilePart implements Part<HostState> {
  readonly name = 'subnet file';
  readonly #runDir: string;
  readonly #fileOf: (host: HostState) => SubnetFile;
  #written = false;

  constructor(options: { readonly runDir: string; readonly fileOf: (host: HostState) => SubnetFile }) {
    this.#runDir = options.runDir;
    this.#fileOf = options.fileOf;
  }

  plan(host: HostState): PartPlan {
    const stands = isSubnetFile(this.#runDir, this.#fileOf(host));
    return { steps: stands ? [] : [`write subnet.env in ${this.#runDir}`], problems: [] };
  }

  /** The first time not before the overlay stands: without it pods would not reach other nodes. */
  reconcile(host: HostState, { failed }: Pass): PartOutcome {
    const blocked = failed.filter((part) => part.startsWith('overlay ')).length;
    if (!this.#written && blocked > 0 && blocked === host.families.length) return { done: [], problems: [] };
    writeSubnetFile(this.#runDir, this.#fileOf(host));
    this.#written = true;
    return { done: [], problems: [] };
  }
}
