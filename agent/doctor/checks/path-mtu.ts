/** How large a packet reaches each peer on the underlay, measured with pings that may not be cut. */
import { formatIp, type Ip } from '../../../inet/ip.ts';
import { EchoSocket } from '../../../kernel/icmp.ts';
import { vxlanOverheadBytes } from '../../../kernel/link.ts';
import { podMtuBytes } from '../../overlay/mtu.ts';
import { hasUnderlay } from '../../overlay/state.ts';
import { type Check, type Finding, ok, orOk, unknown } from '../finding.ts';

const ECHO_MS = 400;
const LEAST_BYTES = { ipv4: 576, ipv6: 1280 } as const;
const MOST_ASKED = 50;

export const pathMtu: Check = {
  name: 'path-mtu',
  title: 'Path MTU',
  look: async ({ saved, unsaved }) => {
    if (!saved) return unknown(unsaved);
    const states = saved.host.families.filter(hasUnderlay);
    const asked = states
      .flatMap((state) => state.peers.map((peer) => ({ state, peer })))
      .slice(0, MOST_ASKED);
    if (asked.length === 0) return ok('no peers to measure to');
    const findings = await Promise.all(
      asked.map(async ({ state, peer }): Promise<Finding[]> => {
        const overhead = vxlanOverheadBytes(peer.endpoint.family);
        // What pods may send, in the tunnel.
        const full = Math.min(podMtuBytes(state) + overhead, state.underlay.mtuBytes);
        const found = await measured(peer.endpoint, full);
        if (found === undefined || found === full) return [];
        return [
          {
            severity: 'warning',
            subject: peer.name ?? peer.key,
            found: `packets of at most ${found} bytes pass to ${formatIp(peer.endpoint)}`,
            wanted: `${full} bytes`,
            remedy: `raise the MTU on the way, or set backend.mtu: ${found - overhead} in weft.yaml on all nodes`,
          },
        ];
      }),
    );
    const sizes = [...new Set(states.map((state) => `${state.underlay.mtuBytes} bytes`))].join(', ');
    return orOk(findings.flat(), `${sizes} on the underlay, ${states.map(podMtuBytes).join(', ')} for pods`);
  },
};

/** Undefined where not even a small one is answered: of such a peer nothing is learned. */
async function measured(target: Ip, full: number): Promise<number | undefined> {
  const socket = EchoSocket.open(target.family);
  const ask = async (sizeBytes: number): Promise<boolean> =>
    (await socket.ask(target, { sizeBytes, timeoutMs: ECHO_MS })).kind === 'answered';
  try {
    const least = LEAST_BYTES[target.family];
    if (!(await ask(least)) && !(await ask(least))) return undefined;
    if ((await ask(full)) || (await ask(full))) return full;
    return await narrowest(ask, { least, full });
  } finally {
    socket.close();
  }
}

/** One after the other: the socket is for one question at a time. */
async function narrowest(
  ask: (sizeBytes: number) => Promise<boolean>,
  { least, full }: { readonly least: number; readonly full: number },
): Promise<number> {
  let [good, bad] = [least, full];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await ask(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
