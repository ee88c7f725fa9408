/** The host's end of an attachment's veth pair, also where an operator has renamed it. */
import * as link from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Attachment } from './attachment.ts';
import { aliasOf } from './names.ts';

/** By its name; else by the index on record, if the link there says by its alias that it is this attachment's. */
export function hostEndOf(rtnl: Rtnl, attachment: Attachment): link.Link | undefined {
  const named = link.linkByName(rtnl, attachment.host.name);
  if (named) return named;
  const indexed = link.linkByIndex(rtnl, attachment.host.index);
  return indexed?.alias === aliasOf(attachment) ? indexed : undefined;
}
