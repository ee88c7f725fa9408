/** What the entries of one family depend on, kept as desired: the device, and the rule for probes. */
import { isDeepStrictEqual } from 'node:util';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { EntryLinks } from './desired.ts';
import { desiredDevice } from './device.ts';
import { ensureDirectProbing } from './direct-probing.ts';
import { ensureDevice } from './ensure-device.ts';
import type { OverlayState } from './state.ts';
import { hasForeignRoute } from './unleased.ts';

export interface EnsuredBase {
  readonly links: EntryLinks;
  /** What was changed, one line each. */
  readonly done: readonly string[];
  /** The device may have lost entries. */
  readonly deviceChanged: boolean;
}

export class KeptBase {
  readonly #rtnl: Rtnl;
  /** As last ensured. */
  #known: { readonly inputs: object; readonly links: EntryLinks } | undefined;

  constructor(rtnl: Rtnl) {
    this.#rtnl = rtnl;
  }

  /** `unchanged`: no notification concerned it, so the dataplane is read only where the desired state changed. */
  ensure(state: OverlayState, { unchanged }: { readonly unchanged: boolean }): EnsuredBase {
    const { network, subnet, underlay, vtepMac, backend, unleased } = state;
    const inputs = { network, subnet, underlay, vtepMac, backend, unleased };
    const known = this.#known;
    if (unchanged && known && isDeepStrictEqual(known.inputs, inputs)) {
      return { links: known.links, done: [], deviceChanged: false };
    }
    this.#known = undefined;
    const desired = desiredDevice(state);
    const device = desired && ensureDevice(this.#rtnl, desired);
    const rules = ensureDirectProbing(this.#rtnl, state);
    const foreignNetworkRoute = unleased !== undefined && hasForeignRoute(this.#rtnl, state);
    const links = { deviceIndex: device?.index, underlayIndex: underlay.index, foreignNetworkRoute };
    this.#known = { inputs, links };
    const made = device?.done ?? [];
    return { links, done: [...made, ...rules], deviceChanged: made.length > 0 };
  }
}
