/** What containers, networks and interfaces may be called (CNI specification, sections 2 and 1). */
import { CniError } from '../errors.ts';

const identifier = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** IFNAMSIZ of the kernel less the closing zero. */
const longestInterfaceName = 15;

/** The characters Go's `unicode.IsSpace` calls white space, which is what the reference refuses. */
const separators = /[/:\t-\r\u0085\p{White_Space}]/u;

/** The kernel looks at bytes, and takes this one, as part of a longer character too, for white space (lib/ctype.c). */
const kernelSpace = 0xa0;

/** Names of directories beside the interfaces' own (net/ipv4/devinet.c, devinet_sysctl_register). */
const reserved: ReadonlySet<string> = new Set(['all', 'default']);

export function checkContainerId(id: string): void {
  if (!identifier.test(id)) {
    throw new CniError('invalid-environment', 'invalid characters in containerID', id);
  }
}

export function checkNetworkName(name: string): void {
  if (!identifier.test(name)) {
    throw new CniError('invalid-config', 'invalid characters found in network name', name);
  }
}

export function checkInterfaceName(name: string): void {
  const complaint = interfaceNameComplaint(name);
  if (complaint !== undefined) throw new CniError('invalid-environment', complaint, name);
}

/** What is wrong with an interface's name; undefined if the kernel would take it. */
export function interfaceNameComplaint(name: string): string | undefined {
  if (name === '') return 'interface name is empty';
  if (Buffer.byteLength(name) > longestInterfaceName) return 'interface name is too long';
  if (name === '.' || name === '..') return 'interface name is . or ..';
  if (separators.test(name) || Buffer.from(name).includes(kernelSpace)) {
    return 'interface name contains / or : or whitespace characters';
  }
  if (/\p{Cc}/u.test(name)) return 'interface name contains control characters';
  if (name.includes('%')) return 'interface name contains %, by which the kernel numbers interfaces';
  if (reserved.has(name))
    return `interface name ${name} is what the kernel calls all of them in /proc/sys/net`;
  return undefined;
}
