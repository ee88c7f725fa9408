/**
 * A node that flannel has run on becomes weft's, and back, with its pods running. flanneld must have ended: both would
 * program one device. Pods keep their veths on cni0 and their addresses; weft reads host-local's allocations.
 */
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import { type ConflistPlace, teardownConflist } from '../conflist.ts';
import { putBack, setAside } from './conflists.ts';
import { renameDevices } from './devices.ts';
import { removeFlannelRules } from './rules.ts';

/** flannel's devices, configuration and rules → weft's. Nothing happens where there is none. Returns what was done. */
export function takeOverFlannel(rtnl: Rtnl, place: Pick<ConflistPlace, 'directory'>): string[] {
  return [
    ...renameDevices(rtnl, { from: 'flannel', to: 'weft' }),
    ...removeFlannelRules().map((what) => `${what} removed`),
    ...setAside(place.directory).map((file) => `${file} set aside`),
  ];
}

/** The way back: weft's devices get flannel's names, weft's configuration and rules go. Returns what was done. */
export function handBackToFlannel(rtnl: Rtnl, place: ConflistPlace): string[] {
  const devices = renameDevices(rtnl, { from: 'weft', to: 'flannel' });
  const files = putBack(place.directory).map((file) => `${file} put back`);
  const conflist = teardownConflist(place) === 'removed' ? ['CNI configuration of weft removed'] : [];
  applyRules('add table inet weft\ndelete table inet weft\n');
  return [...devices, ...files, ...conflist, 'table inet weft removed'];
}
