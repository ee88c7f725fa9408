/** Notifications of network settings (linux/netconf.h): forwarding and reverse-path filters switched on or off. */
import { AttributeIndex } from './netlink/attribute.ts';

/** struct netconfmsg, padded. */
const HEADER_BYTES = 4;
const NETCONFA_IFINDEX = 1;
const NETCONFA_FORWARDING = 2;
const NETCONFA_RP_FILTER = 3;

const found = new AttributeIndex();

/** Reads an RTM_NEWNETCONF body; `index` is -1 for all interfaces and -2 for those to come. */
export function netconfOf(body: Buffer): {
  index: number | undefined;
  forwarding: boolean | undefined;
  /** 1 is strict, 2 loose (Documentation/networking/ip-sysctl.rst). */
  rpFilter: number | undefined;
} {
  found.read(body, HEADER_BYTES);
  const forwarding = found.u32(NETCONFA_FORWARDING);
  return {
    index: found.bytes(NETCONFA_IFINDEX)?.readInt32LE(0),
    forwarding: forwarding === undefined ? undefined : forwarding !== 0,
    rpFilter: found.u32(NETCONFA_RP_FILTER),
  };
}
