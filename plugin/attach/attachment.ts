/**
 * An attachment's record: all that ADD made, or is about to make, for one interface of one container. Every
 * later verb works from it alone, whatever has become of the configuration or the namespace.
 *
 * On disk it is JSON, one object per line, appended as the work proceeds; the last whole line holds. So an
 * intent is there before the first side effect, and a kill in the middle of a write costs nothing.
 */
import type { InterfaceAddress } from '../../inet/cidr.ts';
import { formatInterfaceAddress, parseInterfaceAddress } from '../../inet/cidr.ts';
import { formatIp, type Ip, ip } from '../../inet/ip.ts';
import { homeNetns } from '../../kernel/netns.ts';
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
  /** The network namespace of the host's end (`device:inode`); records of 0.1.0 have none. */
  readonly hostNetnsId?: string;
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
  readonly spoofCheck: {
    readonly mac: boolean;
    readonly address: boolean;
    /** Absent in records of versions before 0.2. */
    readonly holdsMac?: boolean;
  };
  readonly hostPorts: readonly PortMapping[];
  readonly bandwidth: Bandwidth;
  readonly pod: PodIdentity;
}

/**
 * Whether the bridge forwards the pod's MAC to its port only. An earlier version's record does not say: then it does
 * where addresses are checked, which is the default of a leased network, as this is.
 */
export const holdsMac = ({ spoofCheck }: Pick<Attachment, 'spoofCheck'>): boolean =>
  spoofCheck.holdsMac ?? (spoofCheck.address || spoofCheck.mac);

/**
 * Whether the host's end is in this process's network namespace. Processes in several may share a runDir: what one
 * of them sees of links says nothing about the other's attachments.
 */
export const isHere = ({ hostNetnsId }: Attachment): boolean =>
  hostNetnsId === undefined || hostNetnsId === homeNetns().id;

const VERSION = 1;

/** One line, with its end. Addresses are text there. */
export const encodeAttachment = (attachment: Attachment): string =>
  `${JSON.stringify({
    version: VERSION,
    ...attachment,
    addresses: attachment.addresses.map((each) => ({
      address: formatInterfaceAddress(each),
      gateway: formatIp(each.gateway),
    })),
    hostPorts: attachment.hostPorts.map((each) => ({
      ...each,
      hostIp: each.hostIp && formatIp(each.hostIp),
    })),
  })}\n`;

/** The last whole line's; undefined where there is none that can be read, or it is of another version. */
export function decodeAttachment(text: string): Attachment | undefined {
  for (const line of text.split('\n').reverse()) {
    if (line === '') continue;
    const attachment = decodeLine(line);
    if (attachment) return attachment;
  }
  return undefined;
}

type StoredAttachment = Omit<Attachment, 'addresses' | 'hostPorts'> & {
  readonly version: number;
  readonly addresses: readonly { address: string; gateway: string }[];
  readonly hostPorts: readonly (Omit<PortMapping, 'hostIp'> & { hostIp?: string })[];
};

function decodeLine(line: string): Attachment | undefined {
  try {
    const stored: unknown = JSON.parse(line);
    if (!isStored(stored)) return undefined;
    const { version: _, addresses, hostPorts, ...rest } = stored;
    return {
      ...rest,
      addresses: addresses.map(({ address, gateway }) => ({
        ...interfaceAddress(address),
        gateway: ip(gateway),
      })),
      hostPorts: hostPorts.map((each) => ({
        ...each,
        hostIp: each.hostIp === undefined ? undefined : ip(each.hostIp),
      })),
    };
  } catch {
    return undefined; // damaged: what is read then is an earlier line, or the names that follow from the key
  }
}

/** What a teardown goes by: a record that lacks any of it, or has something else in its place, is damaged. */
const shape: Readonly<Record<string, (value: unknown) => boolean>> = {
  version: (value) => value === VERSION,
  network: isText,
  containerId: isText,
  ifname: isText,
  phase: isText,
  bootId: isText,
  netnsId: isText,
  bridge: isText,
  hostLocalDir: isText,
  host: (value) =>
    isObject(value) && isText(value.name) && Number.isInteger(value.index) && isText(value.mac),
  container: (value) => isObject(value) && isText(value.mac),
  spoofCheck: isObject,
  bandwidth: isObject,
  addresses: Array.isArray,
  hostPorts: Array.isArray,
};

const isStored = (value: unknown): value is StoredAttachment =>
  isObject(value) && Object.entries(shape).every(([key, fits]) => fits(value[key]));

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function interfaceAddress(text: string): InterfaceAddress {
  const parsed = parseInterfaceAddress(text);
  if (!parsed) throw new RangeError(`${text} is not an interface address`);
  return parsed;
}
