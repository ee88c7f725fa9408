/** The overlay of one family as a part of the host's reconciler. */
import type { Family } from '../../inet/ip.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Part, PartOutcome, PartPlan, Pass } from '../reconcile/part.ts';
import type { Trigger } from '../reconcile/trigger.ts';
import { Overlay, type OverlayOptions } from './overlay.ts';
import { previewOverlay } from './preview.ts';
import { familyNames, type HostState, hasUnderlay, type OverlayState } from './state.ts';

export interface OverlayPartOptions extends OverlayOptions {
  readonly family: Family;
  readonly rtnl: Rtnl;
}

export class OverlayPart implements Part<HostState> {
  static readonly nameOf = (family: Family): string => `overlay ${familyNames[family]}`;
  static readonly isName = (part: string): boolean => part.startsWith('overlay ');
  readonly name: string;
  readonly #family: Family;
  readonly #rtnl: Rtnl;
  readonly #overlay: Overlay;

  constructor(options: OverlayPartOptions) {
    this.name = OverlayPart.nameOf(options.family);
    this.#family = options.family;
    this.#rtnl = options.rtnl;
    this.#overlay = new Overlay(options.rtnl, options);
  }

  observe(message: NetlinkMessage): Trigger | undefined {
    return this.#overlay.observe(message);
  }

  plan(host: HostState): PartPlan {
    const state = this.#stateOf(host);
    return state ? previewOverlay(this.#rtnl, state) : { steps: [], problems: [] };
  }

  /** Without an underlay what stands is left as it is. */
  async reconcile(host: HostState, pass: Pass): Promise<PartOutcome> {
    const state = this.#stateOf(host);
    if (!state) return { done: [], problems: [] };
    if (pass.reread) this.#overlay.invalidate();
    return await this.#overlay.reconcile(state, { baseUnchanged: !pass.base });
  }

  #stateOf({ families }: HostState): OverlayState | undefined {
    const state = families.find(({ network }) => network.family === this.#family);
    return state && hasUnderlay(state) ? state : undefined;
  }
}
