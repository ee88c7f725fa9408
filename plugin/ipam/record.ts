/** What an address's file holds: who has the address, and in which life of the kernel. */

/** An attachment's interface: together with the network's name, the key of everything that ADD makes. */
export interface Owner {
  readonly containerId: string;
  readonly ifname: string;
}

export interface AllocationRecord extends Owner {
  /** `/proc/sys/kernel/random/boot_id` at the time: no sandbox, hence no allocation, survives a reboot. */
  readonly bootId: string;
  /** ISO 8601, for people. */
  readonly since: string;
}

export const encodeRecord = (record: AllocationRecord): string => `${JSON.stringify(record)}\n`;

/** Undefined for what is no record: an empty or damaged file. Unknown fields are ignored. */
export function decodeRecord(text: string): AllocationRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { containerId, ifname, bootId, since } = value as Record<string, unknown>;
    if (typeof containerId !== 'string' || typeof ifname !== 'string' || typeof bootId !== 'string') {
      return undefined;
    }
    return { containerId, ifname, bootId, since: typeof since === 'string' ? since : '' };
  } catch {
    return undefined;
  }
}

export const sameOwner = (a: Owner, b: Owner): boolean =>
  a.containerId === b.containerId && a.ifname === b.ifname;
