/**
 * An attachment's record: all that ADD made, or is about to make, for one interface of one container. Every
 * later verb works from it alone, whatever has become of the configuration or the namespace.
 *
 * On disk it is JSON, one object per line, appended as the work proceeds; the last whole line holds. So an
 * intent is there before the first side effect, and a kill in the middle of a write costs nothing.
 */
import type { InterfaceAddress } from '../../inet/cidr.ts';
import { formatInterfaceAddress, parseInterfaceAddress } from '../../inet/cidr.ts';
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import type { Bandwidth, PortMapping } from '../protocol/network.ts';
import type { AttachmentKey, PodIdentity } from '../protocol/request.ts';

/**
 * `intent`: side effects may have begun. `made`: the interface is there, the steps after it may have begun.
 * `complete`: ADD has answered.
 */
export type Phase = 'intent' | 'made' | 'complete';

export interface AttachmentAddress extends InterfaceAddress {
  readonly gateway: Ip;
}

export interface Attachment extends AttachmentKey {
  readonly phase: Phase;
  /** The kernel's boot id: nothing of another boot exists any more. */
  readonly bootId: string;
  /** ISO 8601, for people. */
  readonly since: string;
  /** The literal CNI_NETNS, and the namespace it meant (`device:inode`). */
  readonly netns: string;
  readonly netnsId: string;
  readonly bridge: string;
  /** The end on the bridge. */
  readonly host: { readonly name: string; readonly index: number; readonly mac: string };
  /** The end in the pod. */
  readonly container: { readonly index: number; readonly mac: string };
  readonly mtuBytes: number;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  /** Empty as long as the phase is `intent`, and for a layer-2 network. */
  readonly addresses: readonly AttachmentAddress[];
  /** Where host-local keeps its allocations (for this network's address store). */
  readonly hostLocalDir: string;
  /** What the steps after the interface are to make. */
  readonly masquerade: boolean;
  readonly spoofCheck: boolean;
  readonly hostPorts: readonly PortMapping[];
  readonly bandwidth: Bandwidth;
  readonly pod: PodIdentity;
}

const VERSION = 1;

/** One line, with its end. */
export const encodeAttachment = (attachment: Attachment): string =>
  `${JSON.stringify({ version: VERSION, ...attachment, addresses: attachment.addresses.map(encodeAddress) }, encodeIps)}\n`;

/** The last whole line's; undefined where there is none that can be read, or it is of another version. */
export function decodeAttachment(text: string): Attachment | undefined {
  for (const line of text.split('\n').reverse()) {
    if (line === '') continue;
    const attachment = decodeLine(line);
    if (attachment) return attachment;
  }
  return undefined;
}

function decodeLine(line: string): Attachment | undefined {
  try {
    const value = JSON.parse(line, decodeIps) as StoredAttachment;
    if (value.version !== VERSION) return undefined;
    const { version: _, ...attachment } = value;
    return { ...attachment, addresses: value.addresses.map(decodeAddress) };
  } catch {
    return undefined;
  }
}

interface StoredAddress {
  readonly address: string;
  readonly gateway: Ip;
}

type StoredAttachment = Omit<Attachment, 'addresses'> & {
  readonly version: number;
  readonly addresses: readonly StoredAddress[];
};

const encodeAddress = (address: AttachmentAddress): StoredAddress => ({
  address: formatInterfaceAddress(address),
  gateway: address.gateway,
});

function decodeAddress({ address, gateway }: StoredAddress): AttachmentAddress {
  const parsed = parseInterfaceAddress(address);
  if (!parsed) throw new RangeError(`${address} is not an interface address`);
  return { ...parsed, gateway };
}

const isIp = (value: unknown): value is Ip =>
  typeof value === 'object' && value !== null && 'family' in value && 'value' in value;

const encodeIps = (_key: string, value: unknown): unknown => (isIp(value) ? { ip: formatIp(value) } : value);

function decodeIps(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('ip' in value)) return value;
  const address = parseIp(String(value.ip));
  if (!address) throw new RangeError(`${value.ip} is not an address`);
  return address;
}
