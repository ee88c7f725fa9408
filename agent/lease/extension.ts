/**
 * What a node tells its peers beyond flannel's record. One codec for every store: in etcd and in the file store it is
 * the field `extension` of `weft/nodes/ID`, in Kubernetes an annotation of the Node.
 *
 *   {"format":1,"localIPs":["10.0.0.5"],"publicKey":"…","site":"…","version":"0.2.0"}
 *
 * Fields that this version does not know are kept when the node writes its own extension again, so that they survive a
 * rollback. A format above 1 is one that this version must not guess at.
 */
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import { isObject, parseObject } from '../../json/object.ts';

export interface NodeExtension {
  /** Addresses that the node's tunnel packets come from, where they are not its public IPs; one per family at most. */
  readonly localIps: readonly Ip[];
  /** WireGuard public key: 32 bytes in base64. */
  readonly publicKey?: string;
  /** Nodes of one site reach each other directly; up to 63 letters, digits, `.`, `_` and `-`. */
  readonly site?: string;
  /** The version of weft that the node runs: `0.2.0`. */
  readonly version?: string;
  /** Fields that this version does not know, as they were read. */
  readonly unknown?: Readonly<Record<string, unknown>>;
}

export const extensionFormat = 1;

/** A longer one is not an extension. */
const maxExtensionCharacters = 8192;

const texts = {
  publicKey: /^[A-Za-z0-9+/]{43}=$/,
  site: /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
  version: /^[0-9A-Za-z.+~-]{1,64}$/,
} as const;
const textNames = ['publicKey', 'site', 'version'] as const;
const known = ['format', 'localIPs', ...textNames];

/** Canonical JSON: two extensions are equal if their texts are. Encoded once per object. */
export function encodeExtension(extension: NodeExtension): string {
  const cached = encoded.get(extension);
  if (cached !== undefined) return cached;
  const { localIps, publicKey, site, version, unknown = {} } = extension;
  const rest = Object.entries(unknown).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify({
    format: extensionFormat,
    ...(localIps.length === 0 ? {} : { localIPs: localIps.map(formatIp).sort() }),
    publicKey,
    site,
    version,
    ...Object.fromEntries(rest),
  });
  encoded.set(extension, text);
  return text;
}

const encoded = new WeakMap<NodeExtension, string>();

/** The extension, or as text why it is not one. */
export function decodeExtension(text: string): NodeExtension | string {
  if (text.length > maxExtensionCharacters)
    return `extension has ${text.length} characters; at most ${maxExtensionCharacters}`;
  const object = parseObject(text);
  return object ? extensionOf(object) : 'extension is not a JSON object';
}

/** As `decodeExtension`, of a value that is parsed already. */
export function extensionOf(value: unknown): NodeExtension | string {
  if (!isObject(value)) return 'extension is not a JSON object';
  if (value.format !== extensionFormat)
    return `extension has an unsupported format; supported: ${extensionFormat}`;
  const localIps = localIpsOf(value.localIPs ?? []);
  if (typeof localIps === 'string') return localIps;
  const fields: { [name in (typeof textNames)[number]]?: string } = {};
  for (const name of textNames) {
    const text = value[name];
    if (text === undefined) continue;
    if (typeof text !== 'string' || !texts[name].test(text)) return `extension.${name} is malformed`;
    fields[name] = text;
  }
  const unknown = Object.fromEntries(Object.entries(value).filter(([name]) => !known.includes(name)));
  return { localIps, ...fields, ...(Object.keys(unknown).length === 0 ? {} : { unknown }) };
}

function localIpsOf(value: unknown): readonly Ip[] | string {
  if (!Array.isArray(value) || value.length > 2)
    return 'extension.localIPs is not a list of up to two addresses';
  const ips: Ip[] = [];
  for (const text of value) {
    const ip = typeof text === 'string' ? parseIp(text) : undefined;
    if (!ip) return 'extension.localIPs holds something that is not an address';
    if (ips.some(({ family }) => family === ip.family))
      return 'extension.localIPs has two addresses of one family';
    ips.push(ip);
  }
  return ips;
}

/** Ours, with the fields that only another version knows. */
export function withUnknown(ours: NodeExtension, stored: NodeExtension | undefined): NodeExtension {
  const unknown = { ...stored?.unknown, ...ours.unknown };
  return Object.keys(unknown).length === 0 ? ours : { ...ours, unknown };
}

export const sameExtension = (a: NodeExtension | undefined, b: NodeExtension | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && encodeExtension(a) === encodeExtension(b));
