/**
 * What the agent tells whoever makes pods, through two files under runDir: the node's subnet (`subnet.env`,
 * flannel's keys: flannel pkg/subnet/subnet.go, WriteSubnetFile) and until when it is provably the node's
 * (`lease.json`).
 */
import { readFileSync, statSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { type Cidr, networkOf, parseCidr, parseInterfaceAddress } from '../../inet/cidr.ts';
import type { Ip } from '../../inet/ip.ts';
import { isErrno } from '../../kernel/errno.ts';
import { CniError } from '../errors.ts';

export interface LeasedSubnet {
  readonly subnet: Cidr;
  /** The bridge's address in it. */
  readonly gateway: Ip;
  /** The whole cluster's network of this family. */
  readonly network: Cidr;
}

export interface NodeSubnets {
  /** IPv4 first; one per family at most, at least one. */
  readonly subnets: readonly LeasedSubnet[];
  readonly mtuBytes: number;
}

/** `lease.json`: absent where the agent is not weft's (flannel writes the subnet file alone). */
interface LeaseFile {
  /** The kernel's boot id. */
  readonly boot: string;
  /** Until when the subnet is provably ours, in milliseconds of CLOCK_BOOTTIME; null: for ever. */
  readonly deadlineMs: number | null;
  /** Why the lease is not held as it should be. */
  readonly reason: string | null;
}

/** Reads both files again only when they have changed. */
export class LeaseReader {
  readonly #subnetFile: CachedFile<NodeSubnets>;
  readonly #leaseFile: CachedFile<LeaseFile>;
  readonly #bootId: string;

  constructor(options: { runDir: string; bootId: string }) {
    this.#subnetFile = new CachedFile(join(options.runDir, 'subnet.env'), parseSubnetFile);
    this.#leaseFile = new CachedFile(join(options.runDir, 'lease.json'), parseLeaseFile);
    this.#bootId = options.bootId;
  }

  /**
   * The subnets that this node may give addresses of, now.
   *
   * @throws CniError try-again-later where there are none or they are not provably ours any more.
   */
  read(): NodeSubnets {
    const node = this.#subnetFile.read();
    if (!node) {
      throw new CniError(
        'try-again-later',
        `this node has no subnet yet: ${this.#subnetFile.path} does not exist`,
        'the agent writes it once it holds a lease and the overlay is up: see that weftd runs, and its log',
      );
    }
    const lease = this.#leaseFile.read();
    if (lease) this.#checkDeadline(lease);
    return node;
  }

  #checkDeadline({ boot, deadlineMs, reason }: LeaseFile): void {
    if (boot !== this.#bootId) {
      throw new CniError(
        'try-again-later',
        'the agent has not started since this node booted, so the subnet may be another node’s',
        `${this.#leaseFile.path} is of an earlier boot: see that weftd runs, and its log`,
      );
    }
    const lateMs = deadlineMs === null ? 0 : uptime() * 1000 - deadlineMs;
    if (lateMs <= 0) return;
    throw new CniError(
      'try-again-later',
      `this node cannot prove any more that its subnet is its own${reason ? `: ${reason}` : ''}`,
      deadlineMs === 0
        ? undefined
        : `the lease could not be renewed, and its deadline passed ${Math.round(lateMs / 1000)} s ago`,
    );
  }
}

/** The content of a small file that is replaced by rename; undefined where there is none. */
class CachedFile<T> {
  readonly path: string;
  readonly #parse: (text: string, path: string) => T;
  #known: { stamp: string; value: T } | undefined;

  constructor(path: string, parse: (text: string, path: string) => T) {
    this.path = path;
    this.#parse = parse;
  }

  read(): T | undefined {
    try {
      const found = statSync(this.path, { throwIfNoEntry: false });
      if (!found) return undefined;
      const { ino, size, mtimeMs } = found;
      const stamp = `${ino} ${size} ${mtimeMs}`;
      if (this.#known?.stamp !== stamp) {
        this.#known = { stamp, value: this.#parse(readFileSync(this.path, 'utf8'), this.path) };
      }
      return this.#known.value;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}

const families = [
  ['FLANNEL_NETWORK', 'FLANNEL_SUBNET'],
  ['FLANNEL_IPV6_NETWORK', 'FLANNEL_IPV6_SUBNET'],
] as const;

/** @throws CniError try-again-later naming every key that is missing or makes no sense. */
export function parseSubnetFile(text: string, path: string): NodeSubnets {
  const values = new Map(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.includes('=') && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const subnets = families.flatMap(([networkKey, subnetKey]) => {
    const [networkText, subnetText] = [values.get(networkKey), values.get(subnetKey)];
    if (networkText === undefined && subnetText === undefined) return [];
    const network = parseCidr(networkText ?? '');
    const gateway = parseInterfaceAddress(subnetText ?? '');
    if (!network || !gateway) throw malformed(path, `${networkKey} and ${subnetKey} must be networks`);
    return {
      network,
      subnet: networkOf(gateway.address, gateway.length),
      gateway: gatewayOf(gateway.address, gateway.length),
    };
  });
  const mtuBytes = Number(values.get('FLANNEL_MTU'));
  if (subnets.length === 0) throw malformed(path, 'FLANNEL_SUBNET is missing');
  if (!Number.isInteger(mtuBytes) || mtuBytes < 68)
    throw malformed(path, 'FLANNEL_MTU must be a number of bytes');
  return { subnets, mtuBytes };
}

/** `FLANNEL_SUBNET` names the bridge's address; should it name the network, the bridge has its first host. */
function gatewayOf(address: Ip, length: number): Ip {
  const { base } = networkOf(address, length);
  return address.value === base ? { family: address.family, value: base + 1n } : address;
}

const malformed = (path: string, what: string): CniError =>
  new CniError(
    'try-again-later',
    `the subnet file ${path} cannot be used: ${what}`,
    'weftd writes it: see its log',
  );

function parseLeaseFile(text: string, path: string): LeaseFile {
  try {
    const { boot, deadlineMs, reason } = JSON.parse(text) as Partial<LeaseFile>;
    if (typeof boot !== 'string' || (deadlineMs !== null && typeof deadlineMs !== 'number')) {
      throw new TypeError('boot and deadlineMs are expected');
    }
    return { boot, deadlineMs, reason: typeof reason === 'string' ? reason : null };
  } catch (error) {
    throw new CniError(
      'try-again-later',
      `the lease file ${path} cannot be used: ${error instanceof Error ? error.message : error}`,
      `weftd writes it: see its log`,
    );
  }
}
