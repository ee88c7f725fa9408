/** VXLAN devices of an earlier configuration. */
import { failedWith } from '../../kernel/errors.ts';
import { type Link, links, remove } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { deviceName, hasTunnel } from './device.ts';
import type { OverlayState } from './state.ts';

/** weft's devices that this configuration does not have. */
function staleDevices(rtnl: Rtnl, state: OverlayState): Link[] {
  // Nothing is removed while the list of peers is incomplete.
  if (!state.complete) return [];
  const { family } = state.network;
  const keptName = desiredName(state);
  return links(rtnl).filter(
    ({ name, vxlan }) => vxlan && name !== keptName && name === deviceName(family, vxlan.vni),
  );
}

const desiredName = ({ network, backend }: OverlayState): string | undefined =>
  hasTunnel(backend) ? deviceName(network.family, backend.vni) : undefined;

const describe = ({ name }: Link): string => `remove ${name}: the configuration has no such tunnel`;

/** What `StaleDevices.ensureGone` would do, in words. */
export const previewStaleDevices = (rtnl: Rtnl, state: OverlayState): string[] =>
  staleDevices(rtnl, state).map(describe);

export class StaleDevices {
  readonly #rtnl: Rtnl;
  /** The last look found no other device of weft than the one of this name. */
  #seenAlone: { readonly name: string | undefined } | undefined;

  constructor(rtnl: Rtnl) {
    this.#rtnl = rtnl;
  }

  /** Returns what was done, in words. `anew`: looks even if an earlier look found none. */
  ensureGone(state: OverlayState, anew: boolean): string[] {
    const name = desiredName(state);
    if (!anew && this.#seenAlone && this.#seenAlone.name === name) return [];
    const stale = staleDevices(this.#rtnl, state);
    const refusals = this.#rtnl.attempt(stale.map(({ index }) => remove({ index })));
    for (const refusal of refusals) if (refusal && !failedWith(refusal, 'ENODEV')) throw refusal;
    if (state.complete) this.#seenAlone = { name };
    return stale.map(describe);
  }
}
