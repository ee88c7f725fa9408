/** Addresses on links: request builders and a reader (linux/if_addr.h). */
import { formatAddressMessage, parseAddressMessage } from 'netlink/dist/rt/structs.js';
import { putU32 } from 'netlink/dist/structs.js';
import { formatInterfaceAddress, type InterfaceAddress, lastIp, networkOf } from '../inet/cidr.ts';
import { bytesOfIp, type Ip, ipOfBytes } from '../inet/ip.ts';
import { AttributeIndex } from './netlink/attribute.ts';
import {
  bodyOf,
  formatAttributes,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from './netlink/message.ts';
import { afOf, RTM_DELADDR, RTM_GETADDR, RTM_GETMULTICAST, RTM_NEWADDR, type Rtnl } from './netlink/rtnl.ts';

/** An address on a link, as the kernel shows it. */
export interface LinkAddress extends InterfaceAddress {
  readonly index: number;
  /** RT_SCOPE_*: 0 universe, 253 link, 254 host. */
  readonly scope: number;
  /** Duplicate detection goes on: not usable yet (IPv6). */
  readonly tentative: boolean;
  /** Duplicate detection found another holder: never usable (IPv6). */
  readonly duplicate: boolean;
  readonly deprecated: boolean;
  /** Made by hand or by us, not by router advertisements or DHCP. */
  readonly permanent: boolean;
  /** Made for privacy, and replaced by another after a while (IPv6). */
  readonly temporary: boolean;
  /** Of a network of which the link had an address before this one (IPv4). */
  readonly secondary: boolean;
}

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;

interface AddressOptions extends InterfaceAddress {
  index: number;
  /** Skips IPv6 duplicate detection (IFA_F_NODAD): the address is usable at once. */
  noDad?: boolean;
  /** No route to the address's network comes with it (IFA_F_NOPREFIXROUTE). */
  noPrefixRoute?: boolean;
}

/** Adds an address; EEXIST where the link has it. */
export const add = (options: AddressOptions): NetlinkRequest =>
  request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, options);

/** Takes an address off a link; EADDRNOTAVAIL where it is not there. */
export const remove = (options: InterfaceAddress & { index: number }): NetlinkRequest =>
  request(RTM_DELADDR, 0, options);

function request(type: number, flags: number, options: AddressOptions): NetlinkRequest {
  const { address, length, index } = options;
  const bytes = bytesOfIp(address);
  const broadcast = address.family === 'ipv4' && type === RTM_NEWADDR && length < 31;
  const bits = {
    ...(options.noDad && address.family === 'ipv6' ? { nodad: true as const } : {}),
    ...(options.noPrefixRoute ? { noprefixroute: true as const } : {}),
  };
  const body = bodyOf((out) =>
    formatAddressMessage(
      {
        kind: 'address',
        data: { family: afOf(address.family), prefixlen: length, index },
        attrs: {
          local: bytes,
          address: bytes,
          ...(broadcast ? { broadcast: bytesOfIp(lastIp(networkOf(address, length))) } : {}),
          ...(Object.keys(bits).length ? { flags: bits } : {}),
        },
      },
      out,
    ),
  );
  const verb = type === RTM_NEWADDR ? 'add' : 'remove';
  return {
    type,
    flags,
    body,
    attempted: () => `${verb} address ${formatInterfaceAddress(options)} on link ${index}`,
  };
}

/** Every address of the namespace, or of one link; of another namespace by what this one calls it. */
export function addresses(rtnl: Rtnl, which: { index?: number; netnsid?: number } = {}): LinkAddress[] {
  const { index, netnsid } = which;
  const plain = bodyOf((out) =>
    formatAddressMessage({ kind: 'address', data: index === undefined ? {} : { index }, attrs: {} }, out),
  );
  const target = netnsid === undefined ? [] : [formatAttributes([[IFA_TARGET_NETNSID, putU32(netnsid)]])];
  const body = Buffer.concat([plain, ...target]);
  const messages = rtnl.dump({ type: RTM_GETADDR, flags: 0, body, attempted: () => 'list addresses' });
  return messages.flatMap((message) => {
    const { data, attrs } = parseAddressMessage(message.body);
    const bytes = attrs.local ?? attrs.address;
    if (!bytes) return [];
    const flags = attrs.flags ?? data.flags ?? {};
    return {
      index: data.index ?? 0,
      address: ipOfBytes(bytes),
      length: data.prefixlen ?? 0,
      scope: data.scope ?? 0,
      tentative: flags.tentative === true,
      duplicate: flags.dadfailed === true,
      deprecated: flags.deprecated === true,
      permanent: flags.permanent === true,
      temporary: flags.secondary === true && bytes.length === 16,
      secondary: flags.secondary === true && bytes.length === 4,
    };
  });
}

/** struct ifaddrmsg. */
const HEADER_BYTES = 8;
const IFA_MULTICAST = 7;
const IFA_TARGET_NETNSID = 10;

/** The IPv6 groups whose packets a link takes in; the kernel does not report those of IPv4. */
export function ipv6Groups(rtnl: Rtnl, index: number): Ip[] {
  const body = Buffer.alloc(HEADER_BYTES);
  body[0] = afOf('ipv6');
  body.writeUInt32LE(index, 4);
  const attempted = () => `list groups of link ${index}`;
  return rtnl.dump({ type: RTM_GETMULTICAST, flags: 0, body, attempted }).flatMap((message) => {
    const bytes = attributes.read(message.body, HEADER_BYTES).bytes(IFA_MULTICAST);
    return bytes ? [ipOfBytes(bytes)] : [];
  });
}

const attributes = new AttributeIndex();
