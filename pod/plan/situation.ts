/** What a plan is made of: what is wanted and seen, and the actions that follow. */
import type { Container, Pod } from '../manifest/pod.ts';
import type { AttachmentMemory, Memory } from './memory.ts';
import type { Observed } from './observed.ts';

export interface Wanted {
  readonly pod: Pod;
  /** New with every manifest that differs from the one before. */
  readonly uid: string;
  readonly removal: Removal | undefined;
}

/** `graceSeconds` undefined: as the manifest says. */
export interface Removal {
  readonly graceSeconds: number | undefined;
}

export type Action =
  | {
      readonly kind: 'stop';
      readonly container: Observed;
      readonly graceSeconds: number;
      readonly reason: string;
    }
  | { readonly kind: 'detach'; readonly attachment: AttachmentMemory; readonly sandbox: Observed | undefined }
  | { readonly kind: 'remove'; readonly container: Observed }
  | { readonly kind: 'dropVolumes'; readonly uid: string }
  /** From here on the memory is about the manifest that is wanted. */
  | { readonly kind: 'adopt' }
  | { readonly kind: 'end'; readonly phase: 'Succeeded' | 'Failed' }
  | { readonly kind: 'makeSandbox' }
  | { readonly kind: 'attach'; readonly sandbox: Observed }
  | {
      readonly kind: 'start';
      readonly container: Container;
      readonly role: StartRole;
      readonly attempt: number;
      /** One has ended before it: the back-off counts. */
      readonly again: boolean;
      readonly sandbox: Observed;
    }
  /** Nothing is left: manifest and memory go. */
  | { readonly kind: 'forget' };

export type StartRole = 'init' | 'sidecar' | 'app';

export interface Plan {
  readonly actions: readonly Action[];
  /** Something is to be done then, if nothing happens before. */
  readonly wakeAtMs: number | undefined;
}

export interface Situation {
  readonly wanted: Wanted | undefined;
  readonly observed: readonly Observed[];
  /** After `remember`. */
  readonly memory: Memory;
  readonly nowMs: number;
}

export const nothing: Plan = { actions: [], wakeAtMs: undefined };
