/**
 * What an attachment's key (network, container, interface) is called in the kernel and on disk. All of it
 * follows from the key, so that what a lost record described is found again, and from a digest where the
 * place is narrow: a container's id has any length.
 */

import { readFileSync } from 'node:fs';
import { digestOf } from '../../inet/digest.ts';
import { localUnicastMac } from '../../inet/mac.ts';
import { isErrno } from '../../kernel/errno.ts';
import type { AttachmentKey } from '../protocol/request.ts';

export interface AttachmentNames {
  /** Name of the record's file, without its directory. */
  readonly file: string;
  /** Name of the host's end: at most 15 bytes (IFNAMSIZ). */
  readonly hostInterface: string;
  readonly hostMac: string;
  /** The container's end has this MAC unless the configuration wants another. */
  readonly containerMac: string;
}

export function namesOf(key: AttachmentKey): AttachmentNames {
  const digest = digestOfAll(key.network, key.containerId, key.ifname);
  const hex = digest.toString('hex');
  return {
    file: `${hex.slice(0, 32)}.json`,
    hostInterface: `veth${hex.slice(0, 11)}`,
    hostMac: localUnicastMac(digest.subarray(16, 22)),
    containerMac: localUnicastMac(digest.subarray(22, 28)),
  };
}

/** For the host's end: whose it is, in words. */
export const aliasOf = (key: AttachmentKey): string =>
  `${aliasPrefix(key.network)}${shortened(key.containerId, 128)}/${key.ifname}`;

/** The host's end of the attachment that a record's file is about, readable or not. */
export const hostInterfaceOf = (file: string): string => `veth${file.slice(0, 11)}`;

/**
 * What the aliases of a network's host ends begin with. An alias has at most 255 bytes (IFALIASZ,
 * linux/if.h); names hold neither `/` nor `~`.
 */
export const aliasPrefix = (network: string): string => `weft:${shortened(network, 96)}/`;

/** The alias of a bridge that weft made or adopted: any other bridge is the operator's. */
export const BRIDGE_ALIAS = 'weft:bridge';

/**
 * A bridge that is made again gets the same MAC, so that pods need not resolve it again; another host gives another,
 * for the bridges of two hosts may be joined. `host`: what identifies this one.
 */
export const bridgeMac = (bridge: string, gateways: readonly string[], host = hostIdentity()): string =>
  localUnicastMac(digestOfAll('bridge', host, bridge, ...gateways));

/** Copies of one disk image have one machine id, so the host's name counts as well; a container has no machine id. */
function hostIdentity(): string {
  const parts = ['/etc/machine-id', '/proc/sys/kernel/hostname'].map((path) => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return '';
      throw error;
    }
  });
  return parts.join('\n');
}

const shortened = (name: string, length: number): string =>
  name.length <= length
    ? name
    : `${name.slice(0, length - 17)}~${digestOf(name).toString('hex').slice(0, 16)}`;

const digestOfAll = (...parts: string[]): Buffer => digestOf(parts.join('\0'));
