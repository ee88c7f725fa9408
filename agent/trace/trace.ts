/** The way of a packet from a pod of this node: walked without a packet on both nodes, then with real ones. */
import { formatIp } from '../../inet/ip.ts';
import { peers } from '../doctor/checks/peers.ts';
import type { DoctorHost } from '../doctor/host.ts';
import { askPeer } from './ask-peer.ts';
import { type Ends, isLocal, podWith, sendingHalf } from './half.ts';
import { type Hop, stops, unknown } from './hop.ts';
import { peerOf } from './node-walk.ts';
import { probeFrom } from './real-probe.ts';

export interface Trace {
  readonly source: string;
  readonly target: string;
  /** As this node sees it. */
  readonly sending: readonly Hop[];
  /** As the peer's agent sees it; absent where both pods are here. */
  readonly receiving?: { readonly node: string; readonly hops: readonly Hop[]; readonly unknown?: string };
  readonly probe: readonly Hop[];
  readonly passes: boolean;
  /** Where it stops, and why; absent where it passes. */
  readonly stopsAt?: { readonly node: string; readonly hop: Hop };
}

export async function trace(
  host: DoctorHost,
  given: Ends & { readonly port: number | undefined; readonly node: string },
): Promise<Trace> {
  const { source, target, port, node } = given;
  const ends = { source, target };
  const sending = sendingHalf(host, ends);
  const peer = isLocal(host, target) ? undefined : peerOf(host, target)?.peer;
  const name = peer?.name ?? peer?.key ?? '';
  const pod = podWith(host, source);
  const probe = pod
    ? await probeFrom(pod, { target, port })
    : [unknown('probe', 'no pod here has the address')];
  const lost = probe.some(({ state }) => state === 'failed');
  const asked = peer && (await askPeer(host.config, { key: peer.key, name, ends, signal: host.signal }));
  const receiving = asked && {
    node: name,
    hops: asked.kind === 'answered' ? asked.hops : [],
    ...(asked.kind === 'unknown' ? { unknown: asked.reason } : {}),
  };
  // Where all entries are right and packets are lost all the same, it is between the nodes.
  const between =
    lost && peer && !hasFault(sending) && !hasFault(receiving?.hops ?? [])
      ? await underlayHops(host, name)
      : [];
  const all = [
    ...[...sending, ...between].map((hop) => ({ node, hop })),
    ...(receiving?.hops ?? []).map((hop) => ({ node: name, hop })),
    // Where a ping passes, it is the other end that refuses a connection.
    ...probe.map((hop) => ({ node: probe[0]?.state === 'ok' && peer ? name : node, hop })),
  ];
  const stopsAt = all.find(({ hop }) => hop.state === 'failed');
  return {
    source: formatIp(source),
    target: formatIp(target),
    sending: [...sending, ...between],
    ...(receiving ? { receiving } : {}),
    probe,
    passes: !lost && probe.some(({ state }) => state === 'ok'),
    ...(stopsAt && (lost || !pod) ? { stopsAt } : {}),
  };
}

const hasFault = (hops: readonly Hop[]): boolean => hops.some(({ state }) => state === 'failed');

/** What the probes of the agents say about this peer: which direction is cut. */
async function underlayHops(host: DoctorHost, name: string): Promise<Hop[]> {
  const found = [await peers.look(host)].flat();
  return found
    .filter(({ subject, severity }) => subject === name && severity !== 'ok')
    .map(({ found: text, remedy }) => stops('underlay', text, remedy));
}
