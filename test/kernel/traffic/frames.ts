/** Ethernet frames of any content, sent and heard through packet sockets (packet(7)). */
import { bytesOfIp, ip } from '../../../inet/ip.ts';
import { bytesOfMac } from '../../../inet/mac.ts';
import * as ffi from '../../../kernel/ffi.ts';
import { linkByName } from '../../../kernel/link.ts';
import { openRtnl } from '../../../kernel/netlink/rtnl.ts';
import type { Place } from './ground.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 0x0300;

export interface Wire {
  send(frame: Buffer): void;
  /** What has arrived since the last call. */
  heard(): Buffer[];
  close(): void;
}

/** A packet socket on an interface of a place. */
export function openWire(place: Pick<Place, 'within'>, ifname: string): Wire {
  const fd = place.within(() => {
    const rtnl = openRtnl();
    const index = linkByName(rtnl, ifname)?.index ?? 0;
    rtnl.close();
    const socket = ffi.socket(AF_PACKET, SOCK_RAW, ETH_P_ALL);
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16LE(ETH_P_ALL, 2);
    address.writeInt32LE(index, 4);
    ffi.bind(socket, address);
    return socket;
  });
  const buffer = Buffer.alloc(65536);
  return {
    send: (frame) => {
      ffi.send(fd, frame, 0, 'send a frame');
    },
    heard: () => {
      const frames: Buffer[] = [];
      for (;;) {
        const length = ffi.recv(fd, buffer, 'hear a frame');
        if (length === undefined) return frames;
        frames.push(Buffer.from(buffer.subarray(0, length)));
      }
    },
    close: () => ffi.close(fd),
  };
}

interface Ends {
  readonly fromMac: string;
  readonly toMac?: string;
}

/** An Ethernet frame, padded to the least length. */
export const frame = ({ fromMac, toMac = 'ff:ff:ff:ff:ff:ff' }: Ends, type: number, body: Buffer): Buffer => {
  const head = Buffer.concat([bytesOfMac(toMac), bytesOfMac(fromMac), Buffer.from([type >> 8, type & 0xff])]);
  return Buffer.concat([head, body, Buffer.alloc(Math.max(0, 60 - head.length - body.length))]);
};

/** An IPv4 packet of an experimental protocol (RFC 3692), which nobody answers. */
export const ipv4 = (ends: Ends, from: string, to: string): Buffer => {
  const packet = Buffer.alloc(46);
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 253]);
  packet.set(bytesOfIp(ip(from)), 12);
  packet.set(bytesOfIp(ip(to)), 16);
  packet.writeUInt16BE(headerChecksum(packet.subarray(0, 20)), 10);
  return frame(ends, 0x0800, packet);
};

/** RFC 1071. */
function headerChecksum(header: Buffer): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An ARP packet (RFC 826): 1 asks, 2 answers. */
export const arp = (ends: Ends, claim: { operation: 1 | 2; mac: string; address: string }): Buffer =>
  frame(
    ends,
    0x0806,
    Buffer.concat([
      Buffer.from(`000108000604000${claim.operation}`, 'hex'),
      bytesOfMac(claim.mac),
      bytesOfIp(ip(claim.address)),
      bytesOfMac('00:00:00:00:00:00'),
      bytesOfIp(ip('10.244.1.1')),
    ]),
  );

/** An ICMPv6 message (RFC 4443) with 16 bytes of target, as neighbour discovery has it (RFC 4861, section 4). */
export const icmpv6 = (ends: Ends, from: string, message: { type: number; target: string }): Buffer => {
  const body = Buffer.concat([
    Buffer.from([message.type, 0, 0, 0, 0, 0, 0, 0]),
    bytesOfIp(ip(message.target)),
  ]);
  const head = Buffer.from([0x60, 0, 0, 0, 0, body.length, 58, 255]);
  return frame(ends, 0x86dd, Buffer.concat([head, bytesOfIp(ip(from)), bytesOfIp(ip('ff02::1')), body]));
};
