/** Why a peer does not answer through the tunnel: a decision over what is known of both directions. Pure. */
import type { Finding } from './finding.ts';

export interface SilenceFacts {
  /** The peer's, on the underlay. */
  readonly address: string;
  /** UDP port of VXLAN. */
  readonly port: number;
  /** Since a probe of the peer's own last arrived here; undefined: none has. */
  readonly heardSecondsAgo: number | undefined;
  /** How often the peer asks. */
  readonly probeSeconds: number;
  /** Whether it answers a ping beside the tunnel. */
  readonly answersEcho: boolean;
  /** Whether its kernel answers a ping through the tunnel, which needs no agent. */
  readonly answersInTunnel: boolean;
  /** Since its agent last renewed its lease; undefined: not known. */
  readonly renewedSecondsAgo: number | undefined;
  /** The tunnel's guard of this node drops packets from it. */
  readonly droppedHere: boolean;
}

/** Probes that are missing before a direction counts as dead. */
const MISSING = 3;

export function silenceOf(facts: SilenceFacts): Pick<Finding, 'found' | 'wanted' | 'remedy'> {
  const { address, port, heardSecondsAgo, probeSeconds, answersEcho, answersInTunnel, droppedHere } = facts;
  const udp = `UDP port ${port} open in both directions`;
  if (droppedHere) {
    return {
      found: `packets from ${address} are dropped by this node's tunnel guard: it is no known peer's address`,
      wanted: 'the peer sending from the address that it announces',
      remedy: 'set publicIP or underlay in weft.yaml of the peer',
    };
  }
  if (answersInTunnel) {
    return {
      found: `the tunnel works, and its weftd does not answer probes: it does not run${renewed(facts)}`,
      wanted: 'weftd running on the peer',
      remedy: 'on the peer: systemctl start weftd',
    };
  }
  if (heardSecondsAgo !== undefined && heardSecondsAgo <= MISSING * probeSeconds + 1) {
    return {
      found: `its packets arrive here, and ours do not reach it: the way from this node to ${address} is blocked`,
      wanted: udp,
      remedy: `open UDP port ${port} to ${address} on this node, on the way, and on the peer`,
    };
  }
  if (!answersEcho) {
    return {
      found: `${address} does not answer pings either: the node is down, or not reached${renewed(facts)}`,
      wanted: 'a node that is up',
      remedy: 'start the node, or remove it for good: weftctl node forget NAME',
    };
  }
  return {
    found: `the node is up, and nothing of it arrives: the way from ${address} is blocked, or both are`,
    wanted: udp,
    remedy: `open UDP port ${port} from ${address} on the peer, on the way, and on this node`,
  };
}

const renewed = ({ renewedSecondsAgo }: SilenceFacts): string =>
  renewedSecondsAgo === undefined ? '' : ` (its lease was renewed ${Math.round(renewedSecondsAgo)} s ago)`;
