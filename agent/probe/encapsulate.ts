/**
 * A UDP packet of the overlay as the payload of an outer UDP packet: what the VXLAN device makes, made by hand
 * (RFC 7348 section 5). So a probe can have what the device gives no packet: an outer header that says "do not
 * fragment", without which a path that fragments cannot be told from one that is wide enough.
 */
import { bytesOfIp, type Ip } from '../../inet/ip.ts';
import { bytesOfMac } from '../../inet/mac.ts';

export interface InnerEnd {
  readonly mac: string;
  readonly address: Ip;
  /** UDP. */
  readonly port: number;
}

const VXLAN_BYTES = 8;
const ETHERNET_BYTES = 14;
const UDP_BYTES = 8;
const UDP = 17;
const TTL = 64;

/** The inner IP header and UDP header: what a packet of this family has besides its payload. */
export const innerHeaderBytes = ({ address }: Pick<InnerEnd, 'address'>): 28 | 48 =>
  address.family === 'ipv4' ? 28 : 48;

/** The payload of the outer UDP packet: VXLAN header, Ethernet frame. */
export function encapsulate(packet: {
  readonly vni: number;
  readonly from: InnerEnd;
  readonly to: InnerEnd;
  readonly payload: Buffer;
}): Buffer {
  const { vni, from, to, payload } = packet;
  const frame = Buffer.alloc(VXLAN_BYTES + ETHERNET_BYTES);
  frame[0] = 0x08;
  frame.writeUIntBE(vni, 4, 3);
  frame.set(bytesOfMac(to.mac), VXLAN_BYTES);
  frame.set(bytesOfMac(from.mac), VXLAN_BYTES + 6);
  const udp = udpPacket(from, to, payload);
  const v4 = from.address.family === 'ipv4';
  frame.writeUInt16BE(v4 ? 0x0800 : 0x86dd, VXLAN_BYTES + 12);
  return Buffer.concat([frame, v4 ? ipv4Header(from, to, udp) : ipv6Header(from, to, udp), udp]);
}

/** RFC 768; the checksum is over the pseudo header too (RFC 8200 section 8.1). */
function udpPacket(from: InnerEnd, to: InnerEnd, payload: Buffer): Buffer {
  const udp = Buffer.alloc(UDP_BYTES + payload.length);
  udp.writeUInt16BE(from.port, 0);
  udp.writeUInt16BE(to.port, 2);
  udp.writeUInt16BE(udp.length, 4);
  udp.set(payload, UDP_BYTES);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(udp.length, 0);
  pseudo[7] = UDP;
  const sum = checksum(Buffer.concat([bytesOfIp(from.address), bytesOfIp(to.address), pseudo, udp]));
  // Zero means that there is none.
  udp.writeUInt16BE(sum || 0xffff, 6);
  return udp;
}

/** RFC 791 section 3.1. */
function ipv4Header(from: InnerEnd, to: InnerEnd, udp: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(header.length + udp.length, 2);
  header[8] = TTL;
  header[9] = UDP;
  header.set(bytesOfIp(from.address), 12);
  header.set(bytesOfIp(to.address), 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

/** RFC 8200 section 3. */
function ipv6Header(from: InnerEnd, to: InnerEnd, udp: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(udp.length, 4);
  header[6] = UDP;
  header[7] = TTL;
  header.set(bytesOfIp(from.address), 8);
  header.set(bytesOfIp(to.address), 24);
  return header;
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
