/** What the entries of one family stand on, kept as it has to be: the device, the host's settings, the rule for probes. */
import { isDeepStrictEqual } from 'node:util';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { SetSysctl } from '../sysctl/ledger.ts';
import type { Ground } from './desired.ts';
import { desiredDevice } from './device.ts';
import { ensureDirectProbing } from './direct-probing.ts';
import { ensureDevice } from './ensure-device.ts';
import { ensureSettings, settingsOf } from './settings.ts';
import type { OverlayState } from './state.ts';

export interface EnsuredGround {
  readonly ground: Ground;
  /** What was changed, in words. */
  readonly done: readonly string[];
  /** There may be no entries on the device any more. */
  readonly shaken: boolean;
}

export class KeptGround {
  readonly #rtnl: Rtnl;
  readonly #set: SetSysctl;
  /** As it was last ensured. */
  #known: { readonly asked: object; readonly ground: Ground } | undefined;

  constructor(rtnl: Rtnl, set: SetSysctl) {
    this.#rtnl = rtnl;
    this.#set = set;
  }

  /** `stands`: nothing was heard of that could have changed it, and so it is looked at only where other is asked for. */
  ensure(state: OverlayState, { stands }: { readonly stands: boolean }): EnsuredGround {
    const { network, subnet, underlay, vtepMac, backend } = state;
    const asked = { network, subnet, underlay, vtepMac, backend };
    const known = this.#known;
    if (stands && known && isDeepStrictEqual(known.asked, asked)) {
      return { ground: known.ground, done: [], shaken: false };
    }
    this.#known = undefined;
    const desired = desiredDevice(state);
    const device = desired && ensureDevice(this.#rtnl, desired);
    const settings = ensureSettings(settingsOf(state), this.#set);
    const rules = ensureDirectProbing(this.#rtnl, state);
    const ground = { deviceIndex: device?.index, underlayIndex: underlay.index };
    this.#known = { asked, ground };
    const made = device?.done ?? [];
    return { ground, done: [...made, ...settings, ...rules], shaken: made.length > 0 };
  }
}
