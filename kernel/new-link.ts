/** Request builders for new links: bridge, veth, vxlan, ifb (linux/if_link.h, node-netlink's codecs). */
import * as ifla from 'netlink/dist/rt/ifla.js';
import { putU16be } from 'netlink/dist/structs.js';
import { bytesOfIp, formatIp } from '../inet/ip.ts';
import { bytesOfMac } from '../inet/mac.ts';
import type { VxlanAttributes } from './link.ts';
import {
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  linkAttributes,
  linkBody,
} from './link-body.ts';
import { bodyOf, type NetlinkRequest, NLM_F_CREATE, NLM_F_EXCL } from './netlink/message.ts';
import { RTM_NEWLINK } from './netlink/rtnl.ts';

/** A random index in the upper range, where no kernel counts to: saves asking for it after creation. */
export const chooseIndex = (): number => 0x1000_0000 + Math.floor(Math.random() * 0x6000_0000);

/** Makes a bridge. With an explicit MAC, or it would follow its lowest port's. */
export function bridge(options: {
  name: string;
  mac: string;
  mtuBytes?: number | undefined;
  index?: number;
  up?: boolean;
}): NetlinkRequest {
  return newLink({ ...options, kind: 'bridge', attempted: `create bridge ${options.name}` });
}

/** One end of a veth pair. */
export interface VethEnd {
  name: string;
  mac: string;
  mtuBytes: number;
  index?: number;
  /** How many queues it has in each direction; the kernel's default is one per CPU. */
  queues?: number;
}

/**
 * Makes a veth pair whose peer comes into being in another namespace. The host end may be put up and onto
 * a bridge in the same request; the peer cannot (ENOTCONN): it is put up from inside. The kernel ignores
 * an alias at creation: `set` gives one.
 */
export function veth(
  options: VethEnd & { master?: number; up?: boolean; peer: VethEnd & { netnsFd?: number } },
): NetlinkRequest {
  const { peer, ...host } = options;
  const peerBody = linkBody({ index: peer.index }, [
    [IFLA_IFNAME, peer.name],
    [IFLA_ADDRESS, bytesOfMac(peer.mac)],
    [IFLA_MTU, peer.mtuBytes],
    [IFLA_NUM_TX_QUEUES, peer.queues],
    [IFLA_NUM_RX_QUEUES, peer.queues],
    [IFLA_NET_NS_FD, peer.netnsFd],
  ]);
  return newLink({
    ...host,
    kind: 'veth',
    data: linkAttributes([[VETH_INFO_PEER, peerBody]]),
    attempted: `create veth pair ${host.name} <-> ${peer.name}`,
  });
}

/** Makes a VXLAN device (no learning: the forwarding entries are programmed). */
export function vxlan(options: {
  name: string;
  mac: string;
  mtuBytes: number;
  vxlan: VxlanAttributes;
  index?: number;
  up?: boolean;
}): NetlinkRequest {
  const { vxlan: v, ...link } = options;
  const data: ifla.Vxlan = {
    id: v.vni,
    link: v.parent,
    port: putU16be(v.port),
    learning: v.learning ? 1 : 0,
    ...(v.gbp ? { gbp: true as const } : {}),
  };
  if (v.local?.family === 'ipv4') data.local = bytesOfIp(v.local);
  if (v.local?.family === 'ipv6') data.local6 = bytesOfIp(v.local);
  return newLink({
    ...link,
    kind: 'vxlan',
    data: bodyOf((out) => out.emit(ifla.formatVxlan(data))),
    attempted:
      `create vxlan device ${link.name} (VNI ${v.vni}, UDP ${v.port}` +
      `${v.local ? `, local ${formatIp(v.local)}` : ''})`,
  });
}

/** Makes an intermediate functional block device, for shaping what arrives. */
export const ifb = (options: {
  name: string;
  mtuBytes?: number;
  index?: number;
  up?: boolean;
}): NetlinkRequest => newLink({ ...options, kind: 'ifb', attempted: `create ifb device ${options.name}` });

interface NewLink {
  name: string;
  kind: string;
  attempted: string;
  mac?: string | undefined;
  mtuBytes?: number | undefined;
  index?: number | undefined;
  up?: boolean | undefined;
  master?: number | undefined;
  queues?: number | undefined;
  data?: Buffer | undefined;
}

function newLink(link: NewLink): NetlinkRequest {
  const up = link.up ? IFF_UP : 0;
  const info = linkAttributes([
    [IFLA_INFO_KIND, link.kind],
    [IFLA_INFO_DATA, link.data],
  ]);
  const body = linkBody({ index: link.index, flags: up, mask: up }, [
    [IFLA_IFNAME, link.name],
    [IFLA_ADDRESS, link.mac === undefined ? undefined : bytesOfMac(link.mac)],
    [IFLA_MTU, link.mtuBytes],
    [IFLA_MASTER, link.master],
    [IFLA_NUM_TX_QUEUES, link.queues],
    [IFLA_NUM_RX_QUEUES, link.queues],
    [IFLA_LINKINFO, info],
  ]);
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, attempted: () => link.attempted };
}

const VETH_INFO_PEER = 1;
