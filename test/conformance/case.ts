/** A case: what a plugin promises, as a sentence and as the trial that proves it. */
import { atLeast, type CniVersion, cniVersions } from '../../plugin/protocol/version.ts';
import type { Trial } from './trial.ts';

export interface Case {
  /** The checklist's or the option's name, with a number where there are several: `E5`, `D2`, `mtu`. */
  readonly id: string;
  readonly title: string;
  /** Default: all. */
  readonly versions?: readonly CniVersion[];
  /** Why the reference does not keep the promise, if it does not. */
  readonly differs?: string;
  /** The reference has nothing of the kind, so there is nothing to compare. */
  readonly oursAlone?: boolean;
  run(trial: Trial): Promise<void>;
}

export const since = (version: CniVersion): CniVersion[] =>
  cniVersions.filter((each) => atLeast(each, version));

export const before = (version: CniVersion): CniVersion[] =>
  cniVersions.filter((each) => !atLeast(each, version));
