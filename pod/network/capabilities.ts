/** What a pod wants of its network, as CNI's capabilities (CONVENTIONS.md of the CNI repository). Pure. */
import { type Bandwidth, lastingOf, type Pod } from '../manifest/pod.ts';

/** How long a burst may be, in seconds at the full rate. */
const BURST_SECONDS = 0.2;
/** A bucket that holds less than some packets passes none. */
const LEAST_BURST_BITS = 64 * 1024 * 8;
/** CNI's bandwidth plugin and the kernel take less than 4 GiB. */
const MOST_BURST_BITS = 2 ** 35 - 8;

/** `addresses`: to be requested, with or without their lengths. */
export const capabilitiesOf = (pod: Pod, addresses: readonly string[]): Record<string, unknown> => {
  const portMappings = lastingOf(pod).flatMap(({ ports }) =>
    ports.flatMap(({ hostPort, hostIP = '', containerPort, protocol }) =>
      hostPort === undefined ? [] : [{ hostPort, hostIP, containerPort, protocol: protocol.toLowerCase() }],
    ),
  );
  const bandwidth = bandwidthOf(pod.bandwidth);
  return {
    ...(portMappings.length > 0 && { portMappings }),
    ...(Object.keys(bandwidth).length > 0 && { bandwidth }),
    ...(addresses.length > 0 && { ips: addresses }),
  };
};

const bandwidthOf = ({ ingressBits, egressBits }: Bandwidth): Record<string, number> => ({
  ...(ingressBits !== undefined && { ingressRate: ingressBits, ingressBurst: burstOf(ingressBits) }),
  ...(egressBits !== undefined && { egressRate: egressBits, egressBurst: burstOf(egressBits) }),
});

const burstOf = (bits: number): number =>
  Math.ceil(Math.min(Math.max(bits * BURST_SECONDS, LEAST_BURST_BITS), MOST_BURST_BITS));
