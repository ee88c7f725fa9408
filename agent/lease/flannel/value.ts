/**
 * flannel's lease value (flannel pkg/lease/lease.go, LeaseAttrs): the same fields in the same order, the same
 * ones left out when empty, so that flannel reads ours and we read flannel's.
 */
import { formatIp, type Ip, parseIp } from '../../../inet/ip.ts';
import { isUnicastMac, parseMac } from '../../../inet/mac.ts';
import { field, parseObject } from '../../../json/object.ts';
import type { LeaseAttributes, LeaseBackend } from '../lease.ts';

/** No value of ours is a tenth of this; a longer one is not a lease. */
export const maxValueBytes = 16_384;

export function encodeValue(attributes: LeaseAttributes): string {
  const address = (family: Ip['family']): string | undefined => {
    const found = attributes.publicIps.find((ip) => ip.family === family);
    return found && formatIp(found);
  };
  const { type, vni, vtepMac, vtepMac6 } = attributes.backend;
  const data = (mac: string | undefined) => (mac === undefined ? undefined : { VNI: vni, VtepMAC: mac });
  return JSON.stringify({
    PublicIP: address('ipv4') ?? '0.0.0.0',
    PublicIPv6: address('ipv6') ?? null,
    BackendType: type,
    BackendData: data(vtepMac),
    BackendV6Data: data(vtepMac6),
  });
}

/** The attributes, or, as text, why it is not a lease. Fields that nobody knows are no fault. */
export function decodeValue(value: string): LeaseAttributes | string {
  if (value.length > maxValueBytes) return `the value has ${value.length} characters: no lease is that long`;
  const object = parseObject(value);
  if (!object) return 'the value is not a JSON object';
  const publicIps: Ip[] = [];
  for (const [name, family] of [
    ['PublicIP', 'ipv4'],
    ['PublicIPv6', 'ipv6'],
  ] as const) {
    const text = field(object, name);
    if (text === undefined || text === null || text === '' || text === '0.0.0.0' || text === '::') continue;
    const ip = typeof text === 'string' ? parseIp(text) : undefined;
    if (ip?.family !== family) return `${name} is not an ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address`;
    publicIps.push(ip);
  }
  if (publicIps.length === 0) return 'it has no PublicIP';
  const backend = decodeBackend(object);
  return typeof backend === 'string' ? backend : { publicIps, backend };
}

/** flannel's names are words such as `host-gw`; a node without a backend has none. */
export const backendTypePattern = /^[A-Za-z0-9_-]{0,32}$/;

function decodeBackend(object: Record<string, unknown>): LeaseBackend | string {
  const type = field(object, 'BackendType') ?? '';
  if (typeof type !== 'string') return 'BackendType is not a string';
  if (!backendTypePattern.test(type)) return 'BackendType is not the name of a backend';
  if (type !== 'vxlan') return { type };
  const v4 = decodeVxlan(field(object, 'BackendData'));
  const v6 = decodeVxlan(field(object, 'BackendV6Data'));
  if (typeof v4 === 'string') return `BackendData: ${v4}`;
  if (typeof v6 === 'string') return `BackendV6Data: ${v6}`;
  if (!v4 && !v6) return 'BackendData has no VtepMAC';
  const vni = v4?.vni ?? v6?.vni;
  return {
    type,
    ...(vni === undefined ? {} : { vni }),
    ...(v4 ? { vtepMac: v4.mac } : {}),
    ...(v6 ? { vtepMac6: v6.mac } : {}),
  };
}

function decodeVxlan(data: unknown): { vni: number | undefined; mac: string } | string | undefined {
  if (data === undefined || data === null) return undefined;
  if (typeof data !== 'object') return 'it is not an object';
  const object = data as Record<string, unknown>;
  const text = field(object, 'VtepMAC');
  const mac = typeof text === 'string' ? parseMac(text) : undefined;
  if (mac === undefined) return 'VtepMAC is not a MAC address';
  if (!isUnicastMac(mac)) return `VtepMAC ${mac} is not the address of one device`;
  const vni = field(object, 'VNI');
  if (vni === undefined) return { vni: undefined, mac };
  if (typeof vni !== 'number' || !Number.isInteger(vni) || vni < 0 || vni > 0xff_ffff) {
    return 'VNI is not a number from 0 to 16777215';
  }
  return { vni, mac };
}
