/** Peers that do not answer probes: which half of the way is cut, as far as it shows here. */
import { firstIp } from '../../../inet/cidr.ts';
import { formatIp, type Ip, keyOfIp } from '../../../inet/ip.ts';
import { EchoSocket } from '../../../kernel/icmp.ts';
import { readGuardDrops } from '../../firewall/guard-drops.ts';
import type { Peer } from '../../overlay/peer.ts';
import { hasUnderlay } from '../../overlay/state.ts';
import type { PeerProbe } from '../../status/live.ts';
import { peerEntries } from '../../status/peer-entries.ts';
import { type Check, type Finding, ok, orOk, unknown } from '../finding.ts';
import type { DoctorHost } from '../host.ts';
import { type SilenceFacts, silenceOf } from '../silence.ts';

const ECHO_BYTES = 64;
const ECHO_MS = 1_000;
const ECHOES = 2;

export const peers: Check = {
  name: 'peers',
  title: 'Peers',
  look: async (host) => {
    const { saved, unsaved, agent } = host;
    if (!saved) return unknown(unsaved);
    const all = saved.host.families.filter(hasUnderlay).flatMap(({ peers }) => peers);
    if (all.length === 0) return ok('none are known');
    if (agent.kind !== 'running') return withoutAgent(all);
    const silent = agent.value.probes.filter(({ reachable }) => !reachable);
    const findings = await Promise.all(silent.map((probe) => findingOf(host, { probe, all })));
    const answering = agent.value.probes.length - silent.length;
    return orOk(findings.flat(), `${all.length} known, none silent; ${answering} have answered probes`);
  },
};

/** Without probes what is left to ask is the underlay. */
async function withoutAgent(all: readonly Peer[]): Promise<readonly Finding[]> {
  const asked = all.slice(0, MOST_ASKED);
  const alive = await Promise.all(asked.map(({ endpoint }) => answersEcho(endpoint)));
  const dead = asked.filter((_, i) => !alive[i]);
  const findings = dead.map(
    (peer): Finding => ({
      severity: 'warning',
      subject: peer.name ?? peer.key,
      found: `${formatIp(peer.endpoint)} answers no ping on the underlay`,
      wanted: 'a node that is up',
      remedy: `check that the node runs, and "ip route get ${formatIp(peer.endpoint)}"`,
    }),
  );
  return orOk(findings, `${asked.length} of ${all.length} asked; all answer on the underlay`);
}

const MOST_ASKED = 50;

async function findingOf(
  host: DoctorHost,
  { probe, all }: { readonly probe: PeerProbe; readonly all: readonly Peer[] },
): Promise<Finding[]> {
  const peer = all.find(({ key, subnet }) => key === probe.peer && subnet.family === probe.family);
  if (!peer || probe.path === 'direct') return [];
  // Without its entries it cannot answer, and the check of the dataplane names them.
  if (lacksEntries(host, peer)) return [];
  const { subnets } = await host.store();
  const held = subnets.find(({ record }) => record.key === peer.key);
  const dropped = readGuardDrops(host.nfnl).received.map(({ address }) => keyOfIp(address));
  const facts: SilenceFacts = {
    address: formatIp(peer.endpoint),
    port: host.config.backend.port,
    heardSecondsAgo: probe.heardSecondsAgo,
    probeSeconds: host.config.probes?.periodSeconds ?? 5,
    answersEcho: await answersEcho(peer.endpoint),
    answersInTunnel: await answersEcho(firstIp(peer.subnet)),
    renewedSecondsAgo: held?.silentSeconds,
    droppedHere: dropped.includes(keyOfIp(peer.endpoint)),
  };
  return [{ severity: 'failed', subject: peer.name ?? peer.key, ...silenceOf(facts) }];
}

const lacksEntries = ({ saved, rtnl }: DoctorHost, peer: Peer): boolean =>
  (saved?.host.families ?? [])
    .filter(hasUnderlay)
    .filter(({ network }) => network.family === peer.subnet.family)
    .flatMap((state) => peerEntries(rtnl, state))
    .some((entries) => entries.peer.key === peer.key && entries.faults.length > 0);

async function answersEcho(target: Ip): Promise<boolean> {
  const socket = EchoSocket.open(target.family);
  try {
    for (let echo = 0; echo < ECHOES; echo++) {
      const { kind } = await socket.ask(target, { sizeBytes: ECHO_BYTES, timeoutMs: ECHO_MS });
      if (kind === 'answered') return true;
    }
    return false;
  } finally {
    socket.close();
  }
}
