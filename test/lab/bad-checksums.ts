/** A sender that gets UDP checksums wrong, as a network card at fault does. */
import { parseIp } from '../../inet/ip.ts';
import * as ffi from '../../kernel/ffi.ts';
import { openNetns, within } from '../../kernel/netns.ts';
import { socketAddress } from '../../kernel/udp.ts';
import type { LabPod } from '../../lab/pod.ts';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_UDP = 17;
const HEADER_BYTES = 8;
const PACKETS = 10;

export async function sendBadChecksums(from: LabPod, to: LabPod): Promise<void> {
  const target = parseIp(to.addresses[0] ?? '');
  if (!target) throw new Error(`${to.name} has no address`);
  const netns = openNetns(from.station.netns);
  try {
    const fd = within(netns, () => ffi.socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    const packet = Buffer.alloc(HEADER_BYTES + 64, 'x');
    packet.writeUInt16BE(4000, 0);
    packet.writeUInt16BE(4001, 2);
    packet.writeUInt16BE(packet.length, 4);
    packet.writeUInt16BE(0xdead, 6);
    for (let sent = 0; sent < PACKETS; sent++)
      ffi.sendTo(fd, packet, socketAddress(target, 0), 'send a packet');
    ffi.close(fd);
  } finally {
    netns.close();
  }
}
