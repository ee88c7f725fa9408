/** Request builders for links that do not exist yet: bridge, veth, vxlan, ifb (linux/if_link.h, node-netlink's codecs). */
import * as ifla from 'netlink/dist/rt/ifla.js';
import { formatLinkMessage } from 'netlink/dist/rt/structs.js';
import { putU16be } from 'netlink/dist/structs.js';
import { bytesOfIp, formatIp } from '../inet/ip.ts';
import { bytesOfMac } from '../inet/mac.ts';
import type { VxlanAttributes } from './link.ts';
import {
  bodyOf,
  formatAttributes,
  type NetlinkRequest,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from './netlink/message.ts';
import { AF_UNSPEC, RTM_NEWLINK } from './netlink/rtnl.ts';

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
  const peerMessage = bodyOf((out) =>
    formatLinkMessage(
      {
        kind: 'link',
        data: { family: AF_UNSPEC, ...(peer.index === undefined ? {} : { index: peer.index }) },
        attrs: {
          ifname: peer.name,
          address: bytesOfMac(peer.mac),
          mtu: peer.mtuBytes,
          ...queueAttributes(peer.queues),
          ...(peer.netnsFd === undefined ? {} : { netNsFd: peer.netnsFd }),
        },
      },
      out,
    ),
  );
  return newLink({
    ...host,
    kind: 'veth',
    data: formatAttributes([[VETH_INFO_PEER, peerMessage]]),
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
    attempted: `create vxlan device ${link.name} (VNI ${v.vni}, UDP ${v.port}${v.local ? `, local ${formatIp(v.local)}` : ''})`,
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

const queueAttributes = (queues: number | undefined): { numTxQueues?: number; numRxQueues?: number } =>
  queues === undefined ? {} : { numTxQueues: queues, numRxQueues: queues };

function newLink(link: NewLink): NetlinkRequest {
  const info: ifla.Info = { kind: link.kind, ...(link.data ? { data: link.data } : {}) };
  const body = bodyOf((out) =>
    formatLinkMessage(
      {
        kind: 'link',
        data: {
          family: AF_UNSPEC,
          ...(link.index === undefined ? {} : { index: link.index }),
          ...(link.up ? { flags: { up: true as const }, change: { up: true as const } } : {}),
        },
        attrs: {
          ifname: link.name,
          ...(link.mac === undefined ? {} : { address: bytesOfMac(link.mac) }),
          ...(link.mtuBytes === undefined ? {} : { mtu: link.mtuBytes }),
          ...(link.master === undefined ? {} : { master: link.master }),
          ...queueAttributes(link.queues),
          linkinfo: bodyOf((nested) => nested.emit(ifla.formatInfo(info))),
        },
      },
      out,
    ),
  );
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, attempted: () => link.attempted };
}

const VETH_INFO_PEER = 1;
