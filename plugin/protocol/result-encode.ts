/**
 * `CniResult` → the JSON value of each version: two shapes (`ip4`/`ip6` before 0.3.0, lists since), and a
 * table of what the versions of the second one hold.
 */
import { formatCidr, formatInterfaceAddress } from '../../inet/cidr.ts';
import { type Family, formatIp } from '../../inet/ip.ts';
import { CniError } from '../errors.ts';
import type { CniAddress, CniDns, CniInterface, CniResult, CniRoute } from './result.ts';
import { atLeast, type CniVersion } from './version.ts';

type Json = Record<string, unknown>;

/** CniError (code 7) where the version cannot express it: no address at all before 0.3.0. */
export function encodeResult(result: CniResult, version: CniVersion): Json {
  return atLeast(version, '0.3.0') ? encodeLists(result, version) : encodeByFamily(result, version);
}

function encodeLists(result: CniResult, version: CniVersion): Json {
  const features = {
    /** Interfaces' mtu, socketPath and pciID, and what a route has besides dst and gw. */
    extended: atLeast(version, '1.1.0'),
    addressFamily: !atLeast(version, '1.0.0'),
  };
  return {
    cniVersion: version,
    ...unlessEmpty(
      'interfaces',
      result.interfaces.map((each) => encodeInterface(each, features)),
    ),
    ...unlessEmpty(
      'ips',
      result.ips.map((each) => encodeAddress(each, features)),
    ),
    ...unlessEmpty(
      'routes',
      result.routes.map((each) => encodeRoute(each, features)),
    ),
    ...encodeDns(result.dns, version),
  };
}

function encodeInterface(each: CniInterface, { extended }: { extended: boolean }): Json {
  return {
    name: each.name,
    mac: each.mac,
    ...(extended && { mtu: each.mtu, socketPath: each.socketPath, pciID: each.pciId }),
    sandbox: each.sandbox,
  };
}

function encodeAddress(each: CniAddress, { addressFamily }: { addressFamily: boolean }): Json {
  return {
    ...(addressFamily && { version: each.address.address.family === 'ipv4' ? '4' : '6' }),
    interface: each.interface,
    address: formatInterfaceAddress(each.address),
    gateway: each.gateway && formatIp(each.gateway),
  };
}

function encodeRoute({ dst, gw, ...more }: CniRoute, { extended }: { extended: boolean }): Json {
  return { dst: formatCidr(dst), gw: gw && formatIp(gw), ...(extended && more) };
}

/** The old shape has room for the first address of each family. */
function encodeByFamily(result: CniResult, version: CniVersion): Json {
  if (result.ips.length === 0) {
    throw new CniError('invalid-config', 'cannot convert: no valid IP addresses');
  }
  const ip4 = encodeFamily(result, 'ipv4');
  const ip6 = encodeFamily(result, 'ipv6');
  return { cniVersion: version, ip4, ip6, ...encodeDns(result.dns, version) };
}

function encodeFamily(result: CniResult, family: Family): Json | undefined {
  const first = result.ips.find((each) => each.address.address.family === family);
  if (!first) return undefined;
  const routes = result.routes.filter((route) => route.dst.family === family);
  return {
    ip: formatInterfaceAddress(first.address),
    gateway: first.gateway && formatIp(first.gateway),
    ...unlessEmpty(
      'routes',
      routes.map((route) => encodeRoute(route, { extended: false })),
    ),
  };
}

/** Before 1.0.0 the key is always there, as the reference prints it. */
function encodeDns(dns: CniDns | undefined, version: CniVersion): Json {
  const encoded = {
    ...unlessEmpty('nameservers', dns?.nameservers ?? []),
    ...(dns?.domain && { domain: dns.domain }),
    ...unlessEmpty('search', dns?.search ?? []),
    ...unlessEmpty('options', dns?.options ?? []),
  };
  if (Object.keys(encoded).length === 0 && atLeast(version, '1.0.0')) return {};
  return { dns: encoded };
}

const unlessEmpty = (key: string, list: readonly unknown[]): Json =>
  list.length === 0 ? {} : { [key]: list };
