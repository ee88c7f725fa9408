/**
 * What ADD makes beyond the interface: host ports, shaping, a spoof check, masquerading of ranges of its own.
 * Each is a step that can be put up, taken down and looked at, from the attachment's record alone.
 */
import type { NetworkConfig } from '../protocol/network.ts';
import type { Attachment } from './attachment.ts';
import type { Owner } from './owner.ts';

/** An option of the configuration that only a step can fulfil. */
export type Wish = 'portMappings' | 'bandwidth' | 'spoofCheck' | 'ipMasq';

export interface Step {
  /** Which option it fulfils. */
  readonly wish: Wish;
  /**
   * Makes it so for an attachment that wishes it, however often it is called. The interface is there, its
   * addresses are known. A refusal is a thrown `CniError`; ADD then undoes everything.
   */
  ensure(attachment: Attachment): void | Promise<void>;
  /**
   * Takes away what `ensure` made, wholly or in part or not at all, however often it is called; called while the
   * interface goes and before its addresses are freed. In phase `intent` no address is known.
   */
  teardown(attachment: Attachment): void | Promise<void>;
  /** The same where the record is lost: whatever bears the pod's name. */
  teardownLost(pod: Owner): void | Promise<void>;
  /** Throws `CniError` check-failed, saying what is amiss. */
  verify(attachment: Attachment): void | Promise<void>;
  /**
   * Removes what belongs to no attachment of this network; `live` says which stay, and is to be asked once it is
   * known what there is: an ADD that began meanwhile is among them.
   */
  sweep?(network: string, live: () => readonly Attachment[]): void | Promise<void>;
}

/** How the options of a configuration read in a refusal, and whether they ask for something. */
const wishes: Readonly<Record<Wish, (config: NetworkConfig) => boolean>> = {
  portMappings: ({ hostPorts }) => hostPorts.length > 0,
  bandwidth: ({ bandwidth }) => bandwidth.ingress !== undefined || bandwidth.egress !== undefined,
  spoofCheck: ({ bridge }) => bridge.macspoofchk || bridge.ipspoofchk,
  // What the leased subnet sends out is masqueraded by the agent, once for the host.
  ipMasq: ({ bridge, addressing }) => bridge.ipMasq && addressing.kind === 'ranges',
};

/** The options of this configuration that need a step. */
export const wishesOf = (config: NetworkConfig): Wish[] =>
  (Object.keys(wishes) as Wish[]).filter((wish) => wishes[wish](config));

/** The options that this attachment was made with and that need a step. */
export const wishesIn = (attachment: Attachment): Wish[] => [
  ...(attachment.hostPorts.length > 0 ? ['portMappings' as const] : []),
  ...(attachment.bandwidth.ingress || attachment.bandwidth.egress ? ['bandwidth' as const] : []),
  ...(attachment.spoofCheck.mac || attachment.spoofCheck.address ? ['spoofCheck' as const] : []),
  ...(attachment.masquerade ? ['ipMasq' as const] : []),
];
