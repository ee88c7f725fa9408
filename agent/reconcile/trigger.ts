/** Why a pass is due, and what of the dataplane it has to look at again. */

export interface Needs {
  /** The dataplane may have changed without a notification: read it again. */
  readonly reread?: boolean;
  /** Another interface, address or MTU may be the underlay now. */
  readonly underlay?: boolean;
  /** Devices, rules and settings may have changed; entries are followed by notifications. */
  readonly base?: boolean;
}

export const everything: Required<Needs> = { reread: true, underlay: true, base: true };
export const nothing: Required<Needs> = { reread: false, underlay: false, base: false };

export interface Trigger extends Needs {
  /** One or two words for the log. */
  readonly reason: string;
}

export const bothNeeds = (a: Needs, b: Needs): Required<Needs> => ({
  reread: a.reread === true || b.reread === true,
  underlay: a.underlay === true || b.underlay === true,
  base: a.base === true || b.base === true,
});
