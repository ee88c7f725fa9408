/**
 * A node's record as annotations of its Node, exactly as flannel writes and reads them (flannel pkg/subnet/kube,
 * annotations.go and kube.go). Only `…-overwrite` is written by people, and read by the node itself alone.
 */
import { type Family, formatIp, type Ip, parseIp, sameIp } from '../../../inet/ip.ts';
import { parseMac } from '../../../inet/mac.ts';
import { field, parseObject } from '../../../json/object.ts';
import { decodeExtension, encodeExtension, type NodeExtension, withUnknown } from '../extension.ts';
import { decodeValue } from '../flannel/value.ts';
import type { LeaseAttributes } from '../lease.ts';

export const defaultAnnotationPrefix = 'flannel.alpha.coreos.com';

export type Annotations = Readonly<Record<string, string>>;

const familyNames = {
  ipv4: { address: 'public-ip', data: 'backend-data', overwrite: 'public-ip-overwrite' },
  ipv6: { address: 'public-ipv6', data: 'backend-v6-data', overwrite: 'public-ipv6-overwrite' },
} as const;

/** The extension of flannel's record (`extension.ts`); whatever flannel's prefix is. */
const extensionAnnotation = 'weft/extension';

const names = [
  'kube-subnet-manager',
  'backend-type',
  ...Object.values(familyNames).flatMap((family) => Object.values(family)),
];

/** Flannel's keys: `PREFIX/NAME`, or `PREFIXNAME` where the prefix has its own slash (kube.go, newAnnotations). */
const keyOf = (prefix: string, name: string): string =>
  prefix.includes('/') ? `${prefix.replace(/-?$/, '-')}${name}` : `${prefix}/${name}`;

/** Those of the annotations that this file knows, by their names without prefix; the rest is not kept. */
export function pickAnnotations(annotations: Readonly<Record<string, unknown>>, prefix: string): Annotations {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = annotations[keyOf(prefix, name)];
    if (typeof value === 'string') picked[name] = value;
  }
  const extension = annotations[extensionAnnotation];
  if (typeof extension === 'string') picked.extension = extension;
  return picked;
}

/** What a Node's annotations have to be for these attributes, by names without prefix; the rest may be anything. */
export function encodeAnnotations(
  { publicIps, backend, extension }: LeaseAttributes,
  stored: Annotations,
): Annotations {
  const macs = { ipv4: backend.vtepMac, ipv6: backend.vtepMac6 };
  const wanted: Record<string, string> = { 'kube-subnet-manager': 'true', 'backend-type': backend.type };
  for (const family of ['ipv4', 'ipv6'] as const) {
    const address = publicIps.find((ip) => ip.family === family);
    const mac = macs[family];
    if (!address || (backend.type === 'vxlan' && mac === undefined)) continue;
    const fields = familyNames[family];
    wanted[fields.data] = mac === undefined ? 'null' : JSON.stringify({ VNI: backend.vni, VtepMAC: mac });
    wanted[fields.address] = formatIp(address);
  }
  if (extension) wanted.extension = encodeExtension(withUnknown(extension, storedExtension(stored)));
  return wanted;
}

function storedExtension({ extension }: Annotations): NodeExtension | undefined {
  const decoded = extension === undefined ? undefined : decodeExtension(extension);
  return typeof decoded === 'object' ? decoded : undefined;
}

export const isJoined = (annotations: Annotations): boolean => annotations['kube-subnet-manager'] === 'true';

/** Those that differ, with their prefix: what a patch has to have. */
export function differingAnnotations(wanted: Annotations, found: Annotations, prefix: string): Annotations {
  const differing = Object.entries(wanted).filter(([name, value]) => found[name] !== value);
  return Object.fromEntries(
    differing.map(([name, value]) => [
      name === 'extension' ? extensionAnnotation : keyOf(prefix, name),
      value,
    ]),
  );
}

/**
 * What a node tells its peers, in these families; undefined where neither flannel nor weft runs there; as text, why it
 * makes no sense.
 */
export function decodeAnnotations(
  annotations: Annotations,
  families: readonly Family[],
): LeaseAttributes | string | undefined {
  if (!isJoined(annotations)) return undefined;
  const value: Record<string, unknown> = { BackendType: annotations['backend-type'] ?? '' };
  for (const family of families) {
    const { address, data } = familyNames[family];
    const suffix = family === 'ipv6' ? 'v6' : '';
    value[`PublicIP${suffix}`] = annotations[address];
    try {
      value[`Backend${suffix.toUpperCase()}Data`] = JSON.parse(annotations[data] ?? 'null');
    } catch {
      return `annotation ${data} is not JSON`;
    }
  }
  const decoded = decodeValue(JSON.stringify(value));
  return typeof decoded === 'string' ? inAnnotations(decoded) : decoded;
}

/** The fields of flannel's etcd value by the names of the annotations. */
function inAnnotations(problem: string): string {
  const renamed: readonly (readonly [RegExp, string])[] = [
    [/\bPublicIPv6\b/g, 'annotation public-ipv6'],
    [/\bPublicIP\b/g, 'annotation public-ip'],
    [/\bBackendV6Data\b/g, 'annotation backend-v6-data'],
    [/\bBackendData\b/g, 'annotation backend-data'],
    [/\bBackendType\b/g, 'annotation backend-type'],
  ];
  return renamed.reduce((text, [pattern, name]) => text.replace(pattern, name), problem);
}

/**
 * The attributes with the addresses that an operator has set for this node, or why one of them cannot be used. Packets
 * still leave from the node's own address, so peers are told that as well.
 */
export function withOverwrites(
  attributes: LeaseAttributes,
  annotations: Annotations,
): LeaseAttributes | string {
  const publicIps: Ip[] = [];
  const localIps = [...(attributes.extension?.localIps ?? [])];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const { overwrite } = familyNames[family];
    const text = annotations[overwrite];
    const own = attributes.publicIps.find((ip) => ip.family === family);
    if (!text) {
      if (own) publicIps.push(own);
      continue;
    }
    const address = parseIp(text);
    if (address?.family !== family) {
      const kind = family === 'ipv4' ? 'IPv4' : 'IPv6';
      return `annotation ${overwrite} ${JSON.stringify(text)} is not an ${kind} address: correct or remove it`;
    }
    publicIps.push(address);
    if (own && !sameIp(own, address) && !localIps.some((ip) => ip.family === family)) localIps.push(own);
  }
  const { extension } = attributes;
  return { ...attributes, publicIps, ...(extension ? { extension: { ...extension, localIps } } : {}) };
}

/** The VTEP MACs that this Node has announced: a node whose disk is new keeps them, as its peers have them. */
export function announcedMacs(annotations: Annotations): Partial<Record<Family, string>> {
  const macs: Partial<Record<Family, string>> = {};
  for (const family of ['ipv4', 'ipv6'] as const) {
    const data = parseObject(annotations[familyNames[family].data] ?? '');
    const text = data && field(data, 'VtepMAC');
    const mac = typeof text === 'string' ? parseMac(text) : undefined;
    if (mac !== undefined) macs[family] = mac;
  }
  return macs;
}
