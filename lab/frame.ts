/** What an Ethernet frame with a ping in it says of itself, with or without VXLAN around it. Pure. */
import { formatIp, ipOfBytes } from '../inet/ip.ts';

export interface FrameSummary {
  /** An echo request, not the reply. */
  readonly request: boolean;
  readonly source: string;
  readonly destination: string;
  /** The tunnel around it, outermost addresses. */
  readonly tunnel:
    | { readonly vni: number; readonly source: string; readonly destination: string }
    | undefined;
}

const ethernetHeader = 14;
const udpHeader = 8;
const vxlanHeader = 8;
const ipv6Header = 40;

interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Buffer;
}

/** Undefined if the frame holds no ping (RFC 792, RFC 4443), not even in VXLAN (RFC 7348). */
export function describeFrame(frame: Buffer): FrameSummary | undefined {
  const packet = parseIpPacket(frame);
  if (!packet) return undefined;
  const { source, destination, protocol, payload } = packet;
  const inner = protocol === 17 ? parseVxlan(payload) : undefined;
  if (inner) {
    const summary = describeFrame(inner.frame);
    return summary && { ...summary, tunnel: { vni: inner.vni, source, destination } };
  }
  const echo = echoTypes[protocol];
  const type = payload[0];
  if (!echo || type === undefined || !echo.includes(type)) return undefined;
  return { request: type === echo[0], source, destination, tunnel: undefined };
}

/** Type of request and reply, by IP protocol: ICMP, ICMPv6. */
const echoTypes: Readonly<Record<number, readonly number[]>> = { 1: [8, 0], 58: [128, 129] };

function parseIpPacket(frame: Buffer): Packet | undefined {
  const packet = frame.subarray(ethernetHeader);
  const version = (packet[0] ?? 0) >> 4;
  const type = frame.length < ethernetHeader ? 0 : frame.readUInt16BE(12);
  if (type === 0x0800 && version === 4 && packet.length >= 20) {
    return {
      source: address(packet.subarray(12, 16)),
      destination: address(packet.subarray(16, 20)),
      protocol: packet[9] ?? 0,
      payload: packet.subarray(((packet[0] ?? 0) & 0xf) * 4),
    };
  }
  if (type === 0x86dd && version === 6 && packet.length >= ipv6Header) {
    return {
      source: address(packet.subarray(8, 24)),
      destination: address(packet.subarray(24, 40)),
      protocol: packet[6] ?? 0,
      payload: packet.subarray(ipv6Header),
    };
  }
  return undefined;
}

function parseVxlan(datagram: Buffer): { vni: number; frame: Buffer } | undefined {
  const header = datagram.subarray(udpHeader, udpHeader + vxlanHeader);
  if (header.length < vxlanHeader || header[0] !== 0x08) return undefined;
  return { vni: header.readUIntBE(4, 3), frame: datagram.subarray(udpHeader + vxlanHeader) };
}

const address = (bytes: Uint8Array): string => formatIp(ipOfBytes(bytes));
