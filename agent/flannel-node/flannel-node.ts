/**
 * A node that flannel has run on becomes weft's, and back, with its pods running. flanneld must have ended: both would
 * program one device. Pods keep their veths on cni0 and their addresses; weft reads host-local's allocations.
 */
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { type ConflistPlace, teardownConflist } from '../conflist.ts';
import { teardownFirewall } from '../firewall/teardown.ts';
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
export function handBackToFlannel(request: { rtnl: Rtnl; nfnl: Nfnl; place: ConflistPlace }): string[] {
  const { rtnl, nfnl, place } = request;
  const devices = renameDevices(rtnl, { from: 'weft', to: 'flannel' });
  const files = putBack(place.directory).map((file) => `${file} put back`);
  const conflist = teardownConflist(place) === 'removed' ? ['CNI configuration of weft removed'] : [];
  const rules = teardownFirewall(nfnl).map((what) => `${what} removed`);
  return [...devices, ...files, ...conflist, ...rules];
}
