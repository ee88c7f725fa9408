/**
 * The metrics as text, by prom-client, which is loaded when somebody asks for the first time. Values are read from
 * their sources at each request, so nothing is kept here.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { systemClock } from '../../clock/clock.ts';
import { containsIp } from '../../inet/cidr.ts';
import { bitsOf } from '../../inet/ip.ts';
import type { GuardDrop } from '../firewall/guard-drops.ts';
import { version } from '../version.ts';
import { deviceStatistics } from './device-statistics.ts';
import type { Histogram } from './histogram.ts';
import type { MetricSources, NetworkSources } from './sources.ts';

export const contentType = Registry.PROMETHEUS_CONTENT_TYPE;

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Network, gateway and broadcast address are not for pods. */
const RESERVED_ADDRESSES = 3;

export async function exposition(sources: MetricSources): Promise<string> {
  const add = new Adder();
  add.gauge('weft_build_info', 'Version of weft; the value is 1.', [[{ version }, 1]]);
  add.gauge('weft_ready', 'Whether pods can be made on this node.', [[{}, sources.health.ready ? 1 : 0]]);
  addProcess(add);
  addCounters(add, sources);
  if (sources.network) addNetwork(add, sources.network, sources.perPeer);
  return await add.text();
}

class Adder {
  readonly #registry = new Registry();
  readonly #histograms: string[] = [];

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    const gauge = new Gauge({ name, help, labelNames: labelNames(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) gauge.set(labels, value);
  }

  counter(name: string, help: string, samples: readonly Sample[]): void {
    const counter = new Counter({ name, help, labelNames: labelNames(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) counter.inc(labels, value);
  }

  /** prom-client's histogram counts values one by one; these are counted already, so they are written as text. */
  histogram(name: string, help: string, series: readonly (readonly [Labels, Histogram])[]): void {
    this.#histograms.push(`# HELP ${name} ${help}`, `# TYPE ${name} histogram`);
    for (const [labels, histogram] of series)
      this.#histograms.push(...histogramLines(name, labels, histogram));
  }

  async text(): Promise<string> {
    return `${await this.#registry.metrics()}${this.#histograms.join('\n')}\n`;
  }
}

const labelNames = (samples: readonly Sample[]): string[] => Object.keys(samples[0]?.[0] ?? {});

/** Cumulative counts, as the text format has them. Label values are ours: none needs to be escaped. */
function histogramLines(name: string, labels: Labels, histogram: Histogram): string[] {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const series = (more: readonly string[] = []) =>
    pairs.length + more.length ? `{${[...pairs, ...more].join(',')}}` : '';
  let below = 0;
  const buckets = histogram.counts.map((count, i) => {
    below += count;
    return `${name}_bucket${series([`le="${histogram.bounds[i] ?? '+Inf'}"`])} ${below}`;
  });
  return [...buckets, `${name}_sum${series()} ${histogram.sum}`, `${name}_count${series()} ${below}`];
}

function addProcess(add: Adder): void {
  const { user, system } = process.cpuUsage();
  add.counter('process_cpu_seconds_total', 'Processor time of the agent in seconds.', [
    [{}, (user + system) / 1e6],
  ]);
  add.gauge('process_resident_memory_bytes', 'Resident memory of the agent in bytes.', [
    [{}, process.memoryUsage.rss()],
  ]);
  add.gauge('process_start_time_seconds', 'Start of the agent, seconds since 1970.', [
    [{}, Date.now() / 1000 - process.uptime()],
  ]);
}

function addCounters(add: Adder, { counters }: MetricSources): void {
  add.histogram(
    'weft_cni_call_duration_seconds',
    'Time of CNI calls in the agent, queue included.',
    [...counters.calls].map(([verb, histogram]) => [{ verb }, histogram] as const),
  );
  add.counter(
    'weft_cni_call_failures_total',
    'CNI calls that ended with an error, by error code.',
    [...counters.failures].map(([key, value]) => {
      const [verb = '', code = ''] = key.split(' ');
      return [{ verb, code }, value];
    }),
  );
  add.histogram('weft_reconcile_duration_seconds', 'Time of reconcile passes.', [[{}, counters.passes]]);
  const byPart = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([part, value]): Sample => [{ part }, value]);
  add.counter(
    'weft_reconcile_changes_total',
    'Changes to the dataplane, repairs of drift included.',
    byPart(counters.changes),
  );
  add.counter('weft_reconcile_errors_total', 'Passes in which a part failed.', byPart(counters.errors));
  add.gauge('weft_reconcile_problems', 'Problems that the last pass left.', [[{}, counters.problems]]);
  add.histogram(
    'weft_store_request_duration_seconds',
    'Round trips to the store, by operation.',
    [...counters.requests].map(([operation, histogram]) => [{ operation }, histogram] as const),
  );
  add.counter(
    'weft_store_request_failures_total',
    'Requests to the store that failed, by operation and cause.',
    [...counters.requestFailures].map(([key, value]) => {
      const [operation = '', cause = ''] = key.split(' ');
      return [{ operation, cause }, value];
    }),
  );
  add.counter(
    'weft_store_watch_restarts_total',
    'Watches of the store that ended and were begun again, by cause.',
    [...counters.watchEnds].map(([cause, value]) => [{ cause }, value]),
  );
  add.counter(
    'weft_events_total',
    'Events of the log, by name (docs/logs.md).',
    [...counters.events].map(([event, value]) => [{ event }, value]),
  );
}

function addNetwork(add: Adder, network: NetworkSources, perPeer: boolean): void {
  const { holder, probes, records, devices, guardDrops } = network;
  const { lease, peers, status } = holder;
  add.gauge('weft_lease_held', 'Whether the store has confirmed the lease lately.', [
    [{}, status.phase === 'held' ? 1 : 0],
  ]);
  const leftSeconds = (status.deadlineMs - systemClock.now()) / 1000;
  if (Number.isFinite(leftSeconds)) {
    add.gauge('weft_lease_seconds_left', 'Seconds until the lease expires unless it is renewed.', [
      [{}, Math.max(0, leftSeconds)],
    ]);
  }
  const subnet = lease.subnets.find(({ family }) => family === 'ipv4');
  const addresses = records.attachments.flatMap((attachment) => attachment.addresses);
  const used = addresses.filter(({ address }) => lease.subnets.some((one) => containsIp(one, address)));
  add.gauge('weft_addresses_in_use', "Addresses of this node's subnets that pods have.", [[{}, used.length]]);
  if (subnet) {
    const size = 2 ** (bitsOf(subnet.family) - subnet.length) - RESERVED_ADDRESSES;
    const free = size - used.filter(({ address }) => address.family === 'ipv4').length;
    add.gauge('weft_addresses_free', "IPv4 addresses of this node's subnet that no pod has.", [
      [{}, Math.max(0, free)],
    ]);
  }
  add.gauge('weft_peers', 'Peers of this node.', [[{}, peers.leases.size]]);
  add.gauge('weft_peer_records_rejected', 'Peer records that are ignored or in doubt.', [
    [{}, peers.problems.length],
  ]);
  add.gauge('weft_peers_unreachable', 'Peers that do not answer probes through the tunnel.', [
    [{}, probes.silent().length],
  ]);
  add.gauge('weft_peers_reduced_mtu', 'Peers that full-size packets do not reach.', [
    [{}, probes.narrow().length],
  ]);
  add.gauge('weft_peers_complete', 'Whether the list of peers is whole.', [[{}, peers.complete ? 1 : 0]]);
  const dropped = Object.entries<readonly GuardDrop[]>({ ...guardDrops() }).map(
    ([direction, drops]): Sample => {
      return [{ direction }, drops.reduce((sum, { packets }) => sum + packets, 0)];
    },
  );
  add.gauge(
    'weft_guard_dropped_packets',
    'VXLAN packets that the guard dropped from or to addresses that it has dropped lately.',
    dropped,
  );
  if (perPeer) addPeers(add, network);
  addDevices(add, devices());
}

function addPeers(add: Adder, { probes, holder }: NetworkSources): void {
  const states = probes.states();
  const labelsOf = ({ peer, family, path }: (typeof states)[number]) => ({
    peer: holder.peers.leases.get(peer)?.nodeName ?? peer,
    family,
    path,
  });
  add.gauge(
    'weft_peer_reachable',
    'Whether a peer answers probes.',
    states.map((state) => [labelsOf(state), state.reachable ? 1 : 0]),
  );
  add.gauge(
    'weft_peer_round_trip_seconds',
    'Round trip of the last answered probe.',
    states.flatMap((state) =>
      state.rttMs === undefined ? [] : [[labelsOf(state), state.rttMs / 1000] as const],
    ),
  );
}

function addDevices(add: Adder, names: readonly string[]): void {
  const found = [...deviceStatistics(names)];
  const series = (key: keyof (typeof found)[number][1]) =>
    found.map(([device, statistics]): Sample => [{ device }, statistics[key]]);
  add.counter(
    'weft_device_receive_packets_total',
    'Packets received on a tunnel device.',
    series('receivedPackets'),
  );
  add.counter(
    'weft_device_receive_errors_total',
    'Receive errors of a tunnel device.',
    series('receiveErrors'),
  );
  add.counter(
    'weft_device_receive_drops_total',
    'Received packets that a tunnel device dropped.',
    series('receiveDrops'),
  );
  add.counter(
    'weft_device_transmit_packets_total',
    'Packets sent on a tunnel device.',
    series('sentPackets'),
  );
  add.counter('weft_device_transmit_errors_total', 'Send errors of a tunnel device.', series('sendErrors'));
  add.counter(
    'weft_device_transmit_drops_total',
    'Packets that a tunnel device dropped instead of sending.',
    series('sendDrops'),
  );
}
