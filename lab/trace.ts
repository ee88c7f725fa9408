/**
 * The way of one packet, as it was seen and not as it is drawn: a packet socket in every namespace on the way sees
 * each device that the packet passes. One ping carries a pattern that no other packet has; what holds the pattern
 * is the packet, inside a tunnel or not. Within a namespace the order is the kernel's; the namespaces are
 * given in the order of the way.
 */
import { randomBytes } from 'node:crypto';
import { close, recvFrom, socket } from '../kernel/ffi.ts';
import { openNetns, within } from '../kernel/netns.ts';
import type { Outcome } from './command.ts';
import { LabError } from './errors.ts';
import { describeFrame, type FrameSummary } from './frame.ts';

/** A namespace on the way. */
export interface Station {
  /** As people call it: `node-1`, `pod a`. */
  readonly name: string;
  /** Path of the network namespace. */
  readonly netns: string;
  /** Prints the devices there as `ip -j link` does. */
  readonly links: () => Promise<unknown>;
}

/** One sighting of the packet. */
export interface Hop extends FrameSummary {
  readonly station: string;
  readonly device: string;
  readonly direction: 'in' | 'out';
}

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_NETWORK_ORDER = 0x0300;
const PACKET_OUTGOING = 4;

/** Sends one ping by `ping` (which gets the arguments that make it recognisable) and returns where it was seen. */
export async function tracePing(request: {
  stations: readonly Station[];
  ping: (patternArguments: readonly string[]) => Promise<Outcome>;
}): Promise<Hop[]> {
  const pattern = randomBytes(16);
  const watchers = request.stations.map((station) => ({ station, fd: openPacketSocket(station.netns) }));
  try {
    const outcome = await request.ping(['-s', '32', '-p', pattern.toString('hex')]);
    if (outcome.status !== 0)
      throw new LabError(`the traced ping was lost: ${outcome.stdout}${outcome.stderr}`);
    const hops: Hop[] = [];
    for (const { station, fd } of watchers) {
      const names = deviceNames(await station.links());
      for (const seen of drain(fd)) {
        const summary = seen.frame.includes(pattern) ? describeFrame(seen.frame) : undefined;
        if (!summary?.request) continue;
        hops.push({
          ...summary,
          station: station.name,
          device: names.get(seen.ifindex) ?? `#${seen.ifindex}`,
          direction: seen.outgoing ? 'out' : 'in',
        });
      }
    }
    return hops;
  } finally {
    for (const { fd } of watchers) close(fd);
  }
}

function openPacketSocket(path: string): number {
  const netns = openNetns(path);
  try {
    return within(netns, () => socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_NETWORK_ORDER));
  } finally {
    netns.close();
  }
}

/** Everything that waits on the socket; `ifindex` and the packet's type are in its `sockaddr_ll` (packet(7)). */
function* drain(fd: number): Generator<{ ifindex: number; outgoing: boolean; frame: Buffer }> {
  const data = Buffer.alloc(65_536);
  const address = Buffer.alloc(20);
  for (;;) {
    const length = recvFrom(fd, { data, address }, 'read captured packets');
    if (length === undefined) return;
    yield {
      ifindex: address.readInt32LE(4),
      outgoing: address[10] === PACKET_OUTGOING,
      frame: data.subarray(0, length),
    };
  }
}

const deviceNames = (links: unknown): Map<number, string> =>
  new Map((links as { ifindex: number; ifname: string }[]).map((link) => [link.ifindex, link.ifname]));
