/**
 * An address that was freed and assigned to another pod: how long until a host with the old pod's MAC in its neighbour
 * table gets an answer from the new pod. The range has one address, so that it is given again at once.
 */

import type { Process } from '../cni/starter.ts';
import { plain, type Subject, weft } from '../cni/subjects.ts';
import { atMost, type Figure, percentile, plain as plainFigure } from '../figure.ts';
import { type ContractEnvironment, having, makeNamespaces, pair } from './environment.ts';

const ROUNDS = 40;
/** The reference takes seconds, or never recovers while the host sends packets. */
const REFERENCE_ROUNDS = 1;
const MOST_MS = 20;
const PATIENCE_SECONDS = 20;

/** No answer of the reference is no failure of the benchmark: it took longer than the timeout. */
const lenient = '/run/weft-bench-ask';
const makeLenient = `printf '#!/bin/sh\nping "$@" || true\n' >${lenient} && chmod 755 ${lenient}`;

/** The sibling has an address of a range beside the one that is reused, on the same bridge and in the same subnet. */
function networks(subject: Subject, octet: number): { reused: Subject; sibling: Subject; address: string } {
  const range = (host: number): object => ({
    name: `reuse-${octet}-${host}`,
    bridge: `reuse${octet}`,
    isGateway: true,
    ipMasq: false,
    ipam: {
      type: 'host-local',
      ranges: [
        [
          {
            subnet: `10.${octet}.0.0/24`,
            rangeStart: `10.${octet}.0.${host}`,
            rangeEnd: `10.${octet}.0.${host}`,
          },
        ],
      ],
    },
  });
  return {
    reused: having(subject, range(9)),
    sibling: having(subject, range(5)),
    address: `10.${octet}.0.9`,
  };
}

/** Asks every 10 ms until it is answered once. */
const ping = (asker: string, address: string, from?: string): Process => ({
  command: [
    ...(from === undefined ? [] : ['/usr/bin/nsenter', `--net=/run/netns/${from}`]),
    ...[asker, '-nqc1', '-i0.01', `-w${PATIENCE_SECONDS}`, address],
  ],
  stdin: '',
  env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
});

export async function reusedAddress(environment: ContractEnvironment): Promise<Figure[]> {
  await environment.node.mustExec(['sh', '-c', makeLenient]);
  const places = [
    { who: 'the host', from: undefined },
    { who: 'a sibling', from: 'sibling' },
  ];
  const figures: Figure[] = [];
  for (const { who, from } of places) {
    const ours = await firstAnswers(environment, { subject: weft, octet: 81, from, rounds: ROUNDS });
    const theirs = await firstAnswers(environment, {
      subject: plain,
      octet: 82,
      from,
      rounds: REFERENCE_ROUNDS,
    });
    const what = (label: string): string =>
      `a freed address given to another pod: its first answer to ${who}, ${label} of ${ROUNDS}`;
    const peer = {
      name: `${plain.name}, given up after ${PATIENCE_SECONDS} s`,
      value: Math.min(...theirs.first),
    };
    for (const [label, share] of [
      ['p50', 0.5],
      ['p90', 0.9],
    ] as const) {
      figures.push(
        atMost(MOST_MS, { what: what(label), ours: percentile(ours.first, share), peer, unit: 'ms' }),
      );
    }
    // The machine's other work slows both figures.
    const again = { name: 'asked once more', value: Math.max(...ours.again) };
    figures.push(
      plainFigure({ what: what('slowest'), ours: Math.max(...ours.first), peer: again, unit: 'ms' }),
    );
  }
  return figures;
}

/** Milliseconds of the first ping right after the ADD, and of the next one, when the new MAC is resolved. */
async function firstAnswers(
  { node, starter, progress }: ContractEnvironment,
  options: { subject: Subject; octet: number; from: string | undefined; rounds: number },
): Promise<{ first: number[]; again: number[] }> {
  const { subject, octet, from, rounds } = options;
  progress(`${rounds} times an address reused, ${subject.name}, seen from ${from ?? 'the host'}`);
  const { reused, sibling, address } = networks(subject, octet);
  const pods = Array.from({ length: rounds + 1 }, (_, i) => `reuse-${i}`);
  await makeNamespaces(node, [...pods, 'sibling']);
  const neighbour = pair(sibling, 'sibling');
  const asker = subject === weft ? '/usr/bin/ping' : lenient;
  await starter.inTurn([neighbour.add], 0);
  try {
    const processes = pods.flatMap((pod, i) => {
      const { add, del } = pair(reused, pod);
      const successor = i === 0 ? [] : [ping(asker, address, from)];
      // A second ping, so that the MAC is resolved for certain when the pod is removed.
      return [add, ...successor, ping(asker, address, from), del];
    });
    const { eachMs } = await starter.inTurn(processes, 0);
    // The first pod has three processes, each of the others four, and the second of those is meant.
    const ofSuccessors = eachMs.slice(3);
    return {
      first: ofSuccessors.filter((_, i) => i % 4 === 1),
      again: ofSuccessors.filter((_, i) => i % 4 === 2),
    };
  } finally {
    await starter.inTurn([neighbour.del], 0);
    await node.mustExec([
      'sh',
      '-c',
      `for name in ${[...pods, 'sibling'].join(' ')}; do ip netns del $name; done`,
    ]);
  }
}
