/**
 * flannel's VXLAN devices become weft's, and back, by a new name: addresses, routes, neighbours and FDB entries stay.
 * Kernels before 6.2 rename no device that is up. There it is set down for a moment, which removes its routes, and the
 * agent that starts next programs them.
 */
import { KernelError } from '../../kernel/errors.ts';
import { links, set } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';

type Owner = 'flannel' | 'weft';

/** Gives every VXLAN device of one owner the name that the other's has; returns what was done, for people. */
export function renameDevices(rtnl: Rtnl, { from, to }: { from: Owner; to: Owner }): string[] {
  const present = links(rtnl).filter(({ kind }) => kind === 'vxlan');
  const names = new Set(present.map(({ name }) => name));
  const pattern = new RegExp(`^${from}((?:-v6)?\\.\\d+)$`);
  return present.flatMap(({ index, name }) => {
    const end = pattern.exec(name)?.[1];
    if (end === undefined || names.has(`${to}${end}`)) return [];
    rename(rtnl, index, `${to}${end}`);
    return [`${name} is ${to}${end}`];
  });
}

function rename(rtnl: Rtnl, index: number, name: string): void {
  try {
    rtnl.execute([set({ index, name })]);
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'EBUSY') throw error;
    rtnl.execute([set({ index, up: false }), set({ index, name }), set({ index, up: true })]);
  }
}
