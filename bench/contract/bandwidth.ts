/** The configured rate and the measured rate of IP packets between the host and a pod. */
import { onGround } from '../../lab/ground.ts';
import { weft } from '../cni/subjects.ts';
import { type Figure, withinOfPeer } from '../figure.ts';
import { throughput } from '../throughput.ts';
import { type ContractEnvironment, having, makeNamespaces, pair } from './environment.ts';

const RATES_MBITS = [1, 10, 100, 1000];
const SECONDS = 3;
const SHARE = 0.05;
/** containerd's, for every rate. */
const BURST_BITS = 0xffff_ffff;
const POD = 'shaped';
const ADDRESS = '10.83.0.2';

/** A bridge of its own has the MTU of a network without an overlay. */
const network = {
  name: 'bandwidth',
  bridge: 'shaped0',
  isGateway: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.83.0.0/24', rangeEnd: ADDRESS }]] },
};

const ways = [
  { what: 'receives', key: 'ingress', reverse: false },
  { what: 'sends', key: 'egress', reverse: true },
] as const;

export async function bandwidth({ node, starter, progress }: ContractEnvironment): Promise<Figure[]> {
  const place = { lab: node.lab, node: node.name };
  await makeNamespaces(node, [POD]);
  const figures: Figure[] = [];
  for (const mbits of RATES_MBITS) {
    for (const { what, key, reverse } of ways) {
      progress(`a pod that ${what} ${mbits} Mbit/s at most`);
      const bitsPerSecond = mbits * 1e6;
      const rate = { [`${key}Rate`]: bitsPerSecond, [`${key}Burst`]: BURST_BITS };
      const { add, del } = pair(having(weft, { ...network, runtimeConfig: { bandwidth: rate } }), POD);
      await starter.inTurn([add], 0);
      const passed = await throughput({
        server: onGround({ ...place, pod: POD }, []),
        client: onGround(place, []),
        address: ADDRESS,
        reverse,
        bitsPerSecond,
        seconds: SECONDS,
      });
      await starter.inTurn([del], 0);
      figures.push(
        withinOfPeer(SHARE, {
          what: `what a pod ${what}, limited to ${mbits} Mbit/s`,
          ours: passed / 1e6,
          peer: { name: 'configured', value: mbits },
          unit: 'Mbit/s',
        }),
      );
    }
  }
  return figures;
}
