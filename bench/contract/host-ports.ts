/** ADD with a host port where thousands are present, beside one where none is, and beside the reference's portmap. */
import { plain, type Subject, weft } from '../cni/subjects.ts';
import { atMostOfPeer, type Figure, median } from '../figure.ts';
import { type ContractEnvironment, having, makeNamespaces, pair } from './environment.ts';

const PRESENT = 3000;
const PODS = 30;
const CALLS = 60;
/** Seconds each. */
const REFERENCE_CALLS = 5;
const GAP_MS = 40;

interface Mapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp';
}

const mappings = (first: number, count: number): Mapping[] =>
  Array.from({ length: count }, (_, i) => ({ hostPort: first + i, containerPort: 80, protocol: 'tcp' }));

const mapping = (subject: Subject, portMappings: readonly Mapping[]): Subject =>
  having(subject, { runtimeConfig: { portMappings } });

/** Debian's portmap, chained behind an interface that is there already. */
const portmap = (address: string, portMappings: readonly Mapping[]): Subject => ({
  name: 'portmap',
  command: ['/usr/lib/cni/portmap'],
  configuration: {
    ...{ cniVersion: '1.0.0', name: 'bench-portmap', type: 'portmap', runtimeConfig: { portMappings } },
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/any' }],
      ips: [{ interface: 0, address: `${address}/24`, gateway: '10.8.0.1' }],
    },
  },
});

const one = mappings(30_000, 1);
const portsOf = (pod: number): Mapping[] => mappings(20_000 + (pod * PRESENT) / PODS, PRESENT / PODS);

export async function hostPorts(environment: ContractEnvironment): Promise<Figure[]> {
  const { node, progress } = environment;
  const pods = Array.from({ length: PODS }, (_, i) => `ports-${i}`);
  await makeNamespaces(node, [...pods, 'asked', 'reference']);
  progress(`${CALLS} ADDs with a host port, and none present`);
  const without = await ours(environment);
  progress(`${PRESENT} host ports of ${PODS} pods, weft's and portmap's`);
  await add(environment, (pod) => mapping(weft, portsOf(pod)), pods);
  progress(`${CALLS} ADDs with a host port, and ${PRESENT} present`);
  const among = await ours(environment);
  await remove(environment, (pod) => mapping(weft, portsOf(pod)), pods);
  const theirs = await reference(environment, pods);
  return [
    atMostOfPeer(1.2, {
      what: `ADD with a host port, p50, ${PRESENT} present`,
      ours: among,
      peer: { name: 'none present', value: without },
      unit: 'ms',
    }),
    atMostOfPeer(0.1, {
      what: `ADD with a host port, p50, ${PRESENT} present`,
      ours: among,
      peer: { name: 'portmap alone', value: theirs },
      unit: 'ms',
    }),
  ];
}

async function ours({ starter }: ContractEnvironment): Promise<number> {
  const { add, del } = pair(mapping(weft, one), 'asked');
  const { eachMs } = await starter.inTurn(Array.from({ length: CALLS }, () => [add, del]).flat(), GAP_MS);
  return median(eachMs.filter((_, i) => i % 2 === 0));
}

/** Its own part of a chain alone: the interface that it maps to stays. */
async function reference(environment: ContractEnvironment, pods: readonly string[]): Promise<number> {
  const { starter, node, progress } = environment;
  progress(`portmap with ${PRESENT} host ports present`);
  await starter.inTurn([pair(plain, 'reference').add], 0);
  await starter.inTurn([pair(portmap(addressOf(0), portsOf(0)), pods[0] ?? '').add], 0);
  // Portmap calls iptables for each rule: what it would make for the others is made as it made the first's.
  const first = await node.mustExec(['iptables-save', '-t', 'nat']);
  const others = pods.flatMap((_, pod) => (pod === 0 ? [] : rulesLike(first, pod)));
  const input = ['*nat', ...others, 'COMMIT', ''].join('\n');
  await node.mustExec(['iptables-restore', '--noflush'], { input });
  const address = (await node.mustExec(['ip', '-n', 'reference', '-4', '-o', 'addr', 'show', 'eth0'])).split(
    /\s+/,
  )[3];
  const subject = portmap(address?.replace(/\/.*/, '') ?? '', one);
  const call = pair(subject, 'reference');
  const { eachMs } = await starter.inTurn(
    Array.from({ length: REFERENCE_CALLS }, () => [call.add, call.del]).flat(),
    GAP_MS,
  );
  // Its thousands of rules go with the lab, in no time.
  return median(eachMs.filter((_, i) => i % 2 === 0));
}

const addressOf = (pod: number): string => `10.8.0.${100 + pod}`;

/** The chain and rules of the first pod, as portmap would have made them for another one and its ports. */
function rulesLike(saved: string, pod: number): string[] {
  const firstPort = portsOf(0)[0]?.hostPort ?? 0;
  const ports = new RegExp(`\\b${String(firstPort).slice(0, 3)}\\d\\d\\b`, 'g');
  return saved
    .split('\n')
    .filter((line) => line.includes('CNI-DN-'))
    .map((line) =>
      line
        .replace(/CNI-DN-[0-9a-f]+/, (chain) => `${chain.slice(0, -4)}${(0xa000 + pod).toString(16)}`)
        .replaceAll(addressOf(0), addressOf(pod))
        .replace(ports, (port) => String(Number(port) + (pod * PRESENT) / PODS)),
    );
}

async function add(
  { starter }: ContractEnvironment,
  subject: (pod: number) => Subject,
  pods: readonly string[],
) {
  await starter.inTurn(
    pods.map((pod, i) => pair(subject(i), pod).add),
    0,
  );
}

async function remove(
  { starter }: ContractEnvironment,
  subject: (pod: number) => Subject,
  pods: readonly string[],
) {
  await starter.inTurn(
    pods.map((pod, i) => pair(subject(i), pod).del),
    0,
  );
}
