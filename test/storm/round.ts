/** One round of a storm: what is called, what is killed, and when. A function of its seed. */
import type { Random } from '../unit/protocol/mutate.ts';

/** `agent`: it serves all along; `killed`: in the middle it is killed; `absent`: each call is a process of its own. */
export type Weather = 'agent' | 'killed' | 'absent';

export interface StormCall {
  readonly verb: 'ADD' | 'DEL';
  readonly pod: string;
  /** An index of `networks`. */
  readonly network: number;
  /** It is killed so long after it was started; undefined: it lives. */
  readonly killAfterMs: number | undefined;
}

export interface Round {
  readonly weather: Weather;
  readonly calls: readonly StormCall[];
  /** When the agent is killed, after the first call was started. */
  readonly agentKillAfterMs: number;
  /** Who takes everything away afterwards: a DEL of each attachment, or one GC of each network. */
  readonly cleaning: 'DEL' | 'GC';
  /** Whether an agent is there when it is taken away. */
  readonly cleanedByAgent: boolean;
}

/** Fewer than calls, so that they meet. */
export const podNames: readonly string[] = Array.from({ length: 40 }, (_, i) => `s${i}`);

const lease = { cniVersion: '1.1.0', name: 'weft', type: 'weft' };

/** One of the lease and one of ranges of its own; between them, every option. */
export const networks: readonly object[] = [
  { ...lease, macspoofchk: true, ipspoofchk: true },
  {
    ...{ ...lease, name: 'storm', bridge: 'storm0', isDefaultGateway: true, hairpinMode: true, ipMasq: true },
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/25' }], [{ subnet: 'fd00:9::/120' }]] },
  },
];

/** What the runtime adds for a pod: every third has host ports, every fourth is slowed down. */
export function runtimeConfigOf(pod: string): object {
  const number = Number(pod.slice(1));
  const rate = { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 };
  return {
    ...(number % 3 === 0 ? { portMappings: [{ hostPort: 20_000 + number, containerPort: 80 }] } : {}),
    ...(number % 4 === 0 ? { bandwidth: rate } : {}),
  };
}

export const ifnameOf = (network: number): string => `net${network}`;

const weathers = ['agent', 'agent', 'killed', 'killed', 'absent'] as const;

/** Calls that are processes of Node.js each are fewer: memory, not courage, is what ends. */
const calls: Readonly<Record<Weather, number>> = { agent: 100, killed: 100, absent: 30 };
/** About as long as such a call lives when all are started at once. */
const lifeMs: Readonly<Record<Weather, number>> = { agent: 150, killed: 150, absent: 1500 };

export function roundOf(random: Random): Round {
  const weather = random.pick(weathers);
  return {
    weather,
    calls: Array.from({ length: calls[weather] }, () => ({
      verb: random.below(5) < 3 ? 'ADD' : 'DEL',
      pod: random.pick(podNames as readonly [string, ...string[]]),
      network: random.below(networks.length),
      killAfterMs: random.oneIn(4) ? random.below(lifeMs[weather]) : undefined,
    })),
    agentKillAfterMs: random.below(lifeMs[weather]),
    cleaning: random.pick(['DEL', 'DEL', 'GC']),
    cleanedByAgent: !random.oneIn(4),
  };
}
