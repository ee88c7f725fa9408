import { type Link, linkByName } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';

/** @throws Error where a link of another kind has the name */
export function bridgeNamed(rtnl: Rtnl, name: string): Link | undefined {
  const found = linkByName(rtnl, name);
  if (found && found.kind !== 'bridge') {
    throw new Error(`${name} is a ${found.kind ?? 'hardware'} link, not a bridge: rename or remove it`);
  }
  return found;
}
