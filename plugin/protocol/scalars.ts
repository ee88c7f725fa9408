/** Addresses, prefixes and names out of configuration text; each refusal names path and text. */
import { type Cidr, type InterfaceAddress, networkOf, parseInterfaceAddress } from '../../inet/cidr.ts';
import { type Ip, parseIp } from '../../inet/ip.ts';
import { parseMac } from '../../inet/mac.ts';
import { CniError } from '../errors.ts';
import { asString, excerpt } from './fields.ts';

export function asIp(value: unknown, path: string): Ip {
  const text = asString(value, path);
  return plainIp(parseIp(text)) ?? refuse(path, 'an IP address', text);
}

/** An IPv4 address in IPv6's notation (`::ffff:192.0.2.1`) is the IPv4 address, as Go reads it (net.ParseIP). */
function plainIp(ip: Ip | undefined): Ip | undefined {
  if (ip?.family !== 'ipv6' || ip.value >> 32n !== 0xffffn) return ip;
  return { family: 'ipv4', value: ip.value & 0xffffffffn };
}

/** The address of `ADDRESS` or `ADDRESS/LENGTH`: both forms occur where addresses are asked for. */
export function asRequestedIp(value: unknown, path: string): Ip {
  const text = asString(value, path);
  return (
    plainIp(parseIp(text)) ?? parseInterfaceAddress(text)?.address ?? refuse(path, 'an IP address', text)
  );
}

export function asInterfaceAddress(value: unknown, path: string): InterfaceAddress {
  const text = asString(value, path);
  return parseInterfaceAddress(text) ?? refuse(path, 'an address with its prefix length', text);
}

/** A destination; host bits are cleared, as the kernel does. */
export function asDestination(value: unknown, path: string): Cidr {
  const { address, length } = asInterfaceAddress(value, path);
  return networkOf(address, length);
}

/** An Ethernet address that an interface can have: unicast and not zero. */
export function asUnicastMac(value: unknown, path: string): string {
  const text = asString(value, path);
  const mac = parseMac(text);
  const firstOctet = Number.parseInt(mac?.slice(0, 2) ?? '', 16);
  if (mac === undefined || firstOctet % 2 === 1 || mac === '00:00:00:00:00:00') {
    return refuse(path, 'a unicast MAC address', text);
  }
  return mac;
}

function refuse(path: string, expected: string, text: string): never {
  throw new CniError('invalid-config', `${path} must be ${expected}, not ${excerpt(text)}`);
}
