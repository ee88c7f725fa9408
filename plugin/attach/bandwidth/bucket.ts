/** From the rate and burst that a pod was given to a token bucket. Pure. */
import type { TokenBucket } from '../../../kernel/tc.ts';
import type { Rate } from '../../protocol/network.ts';

/** Runtimes ask for no particular burst by the largest number: containerd by MaxUint32, others by MaxInt32. */
const NO_BURST_BITS = 0x7fff_ffff;
/** The kernel wakes up late now and then: what it may catch up with at once. */
const BURST_SECONDS = 0.02;
/** How long a packet waits at most: long enough for TCP to fill the rate, short enough to talk over it. */
const QUEUE_SECONDS = 0.05;
/** At low rates some packets all the same. */
const BURST_PACKETS = 10;
const QUEUE_PACKETS = 24;
const ETHERNET_BYTES = 14;

/**
 * The rate is that of IP packets, as the pod sees them; the bucket counts their Ethernet headers as well, and
 * gets as much more.
 *
 * The burst that was asked for, as far as it makes sense: never below a few packets and twenty milliseconds, and
 * chosen by us where a runtime asks for the largest. The queue does not grow with the burst.
 */
export function bucketOf({ bitsPerSecond, burstBits }: Rate, mtuBytes: number): TokenBucket {
  const packetBytes = mtuBytes + ETHERNET_BYTES;
  const bytesPerSecond = Math.max(1, Math.round(((bitsPerSecond / 8) * packetBytes) / mtuBytes));
  const leastBurst = Math.max(BURST_PACKETS * packetBytes, bytesPerSecond * BURST_SECONDS);
  const askedBurst = burstBits >= NO_BURST_BITS ? 0 : burstBits / 8;
  return {
    bytesPerSecond,
    burstBytes: bounded(Math.max(leastBurst, askedBurst)),
    queueBytes: bounded(Math.max(QUEUE_PACKETS * packetBytes, bytesPerSecond * QUEUE_SECONDS)),
  };
}

const bounded = (bytes: number): number => Math.min(Math.ceil(bytes), 0xffff_ffff);

/** Equal but for the rounding of the kernel's clock. */
export const sameBucket = (a: TokenBucket, b: TokenBucket): boolean =>
  a.bytesPerSecond === b.bytesPerSecond &&
  a.queueBytes === b.queueBytes &&
  Math.abs(a.burstBytes - b.burstBytes) <= 1 + a.burstBytes / 100;
