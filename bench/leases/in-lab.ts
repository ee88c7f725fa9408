/**
 * The part that runs beside the etcd of a lab, in its network namespace: puts leases and has nodes join, and hears of
 * both from every node's kernel. Prints `LabSamples` as JSON. All times are of one machine's one clock.
 */
import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureIdentity } from '../../agent/identity/identity.ts';
import { defaultRange } from '../../agent/lease/flannel/cluster-config.ts';
import { parseSubnetKey, subnetKey, subnetsFolder } from '../../agent/lease/flannel/key.ts';
import { encodeValue } from '../../agent/lease/flannel/value.ts';
import { freeSubnet, hashedStart } from '../../agent/lease/protocol/free-subnet.ts';
import { EtcdStore } from '../../agent/lease/store/etcd/etcd-store.ts';
import { SubnetIndex } from '../../agent/lease/view/subnet-index.ts';
import { type Cidr, cidr, formatCidr } from '../../inet/cidr.ts';
import { formatIp, ip } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { netnsPath } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { Listener, nowMs, readRoute, routeMonitor } from './listener.ts';

export interface LabBenchRequest {
  readonly lab: string;
  readonly puts: number;
  /** Nodes whose agents have never run; they join one after another. */
  readonly joining: readonly string[];
}

/** Milliseconds. */
export interface LabSamples {
  /** From the call of a put to the notification of the route, one per put and node. */
  readonly putToRoute: readonly number[];
  /** From the start of a new node's weftd to its record's event in a watch of etcd, one per new node. */
  readonly startToRecord: readonly number[];
  /** From that event to the notification of the route, one per new node and peer. */
  readonly recordToRoute: readonly number[];
  /** From there to the first answered ping. */
  readonly routeToPing: readonly number[];
  /** From the start to the first answered ping. */
  readonly startToPing: readonly number[];
}

const never = new AbortController().signal;
const network = { cidr: cidr('10.244.0.0/16'), subnetLength: 24 };
const pingSeconds = 0.02;

/** `[1732207469.123456] 64 bytes from 10.244.3.0: ...` */
function readReply(line: string): [string, number] | undefined {
  const [, seconds, address] = /^\[(\d+\.\d+)\] \d+ bytes from ([\d.]+):/.exec(line) ?? [];
  return address === undefined ? undefined : [address, Number(seconds) * 1000];
}

class LabBench {
  readonly #request: LabBenchRequest;
  readonly #lab: Lab;
  readonly #store: EtcdStore;

  constructor(request: LabBenchRequest) {
    this.#request = request;
    this.#lab = Lab.open(request.lab);
    const file = (name: string) => this.#lab.node('node-1').path(`/etc/weft/etcd/${name}`);
    this.#store = EtcdStore.open({
      type: 'etcd',
      endpoints: this.#lab.etcd.map(({ address }) => ({ secure: true, host: address, port: 2379 })),
      prefix: '/coreos.com/network',
      tls: { caFile: file('ca.pem'), client: { certFile: file('client.pem'), keyFile: file('client.key') } },
      login: undefined,
      leaseTtlSeconds: 86_400,
      peerGraceSeconds: 10,
    });
  }

  async run(): Promise<LabSamples> {
    const { joining } = this.#request;
    const joins: Join[] = [];
    const present = this.#lab.nodes.filter(({ name }) => !joining.includes(name));
    const monitors = new Map<string, Listener>();
    const watch = (node: LabNode): void => void monitors.set(node.name, this.#monitor(node));
    try {
      for (const node of present) watch(node);
      for (const name of joining) {
        const node = this.#lab.node(name);
        joins.push(await this.#join(node, monitors));
        watch(node);
      }
      await pause(2000);
      const putToRoute = await this.#put([...monitors.values()]);
      const all = (pick: (join: Join) => readonly number[]) => joins.flatMap(pick);
      return {
        putToRoute,
        startToRecord: joins.map(({ startMs, recordMs }) => recordMs - startMs),
        recordToRoute: all(({ recordMs, peers }) => peers.map(({ routeMs }) => routeMs - recordMs)),
        routeToPing: all(({ peers }) => peers.map(({ routeMs, pingMs }) => pingMs - routeMs)),
        startToPing: all(({ startMs, peers }) => peers.map(({ pingMs }) => pingMs - startMs)),
      };
    } finally {
      for (const monitor of monitors.values()) monitor.end();
      this.#store.close();
    }
  }

  #within(node: string): string[] {
    return ['nsenter', `--net=${netnsPath(this.#lab.name, node)}`, '--'];
  }

  #monitor(node: LabNode): Listener {
    return new Listener([...this.#within(node.name), ...routeMonitor], readRoute);
  }

  /** A node that never was there is started, while all others ping the address that it is going to have. */
  async #join(node: LabNode, monitors: ReadonlyMap<string, Listener>): Promise<Join> {
    const subnet = await this.#subnetOf(node);
    const prefix = formatCidr(subnet);
    const address = formatIp({ family: subnet.family, value: subnet.base });
    const argv = ['ping', '-D', '-n', '-i', String(pingSeconds), address];
    const pings = [...monitors.keys()].map(
      (name) => new Listener([...this.#within(name), ...argv], readReply),
    );
    const over = new AbortController();
    try {
      await pause(500);
      const recorded = this.#recorded(subnetsFolder + subnetKey([subnet]), over.signal);
      await pause(200);
      const startMs = nowMs();
      const ready = node.agent.start();
      const listeners = [...monitors.values()].map((monitor, n) => ({ monitor, ping: pings[n] }));
      const peers = await Promise.all(
        listeners.map(async ({ monitor, ping }) => ({
          routeMs: await monitor.heard(prefix),
          pingMs: (await ping?.heard(address)) ?? Number.NaN,
        })),
      );
      await ready;
      return { startMs, recordMs: await recorded, peers };
    } finally {
      over.abort();
      for (const ping of pings) ping.end();
    }
  }

  /** By its identity, which is drawn for it, and by what the others have. */
  async #subnetOf(node: LabNode): Promise<Cidr> {
    const stateDir = node.path('/var/lib/weft');
    mkdirSync(stateDir, { recursive: true });
    const { nodeId } = ensureIdentity(stateDir);
    const taken = new SubnetIndex();
    for (const { key } of (await this.#store.list(never)).records) {
      if (!key.startsWith(subnetsFolder)) continue;
      const name = key.slice(subnetsFolder.length);
      taken.add(name, parseSubnetKey(name) ?? []);
    }
    const subnet = freeSubnet(defaultRange(network), taken, hashedStart(nodeId, 0));
    if (!subnet) throw new Error('the lab has no free subnet');
    return subnet;
  }

  async #recorded(key: string, signal: AbortSignal): Promise<number> {
    const { cursor } = await this.#store.list(signal);
    for await (const item of this.#store.watch(cursor, signal)) {
      const atMs = nowMs();
      if (item.type !== 'events') continue;
      if (item.events.some((event) => event.type === 'put' && event.record.key === key)) return atMs;
    }
    return Number.NaN;
  }

  async #put(monitors: readonly Listener[]): Promise<number[]> {
    const { session } = await this.#store.grant(600, never);
    const { records } = await this.#store.list(never);
    const taken = new Set(records.map(({ key }) => key));
    const samples: number[] = [];
    for (let n = 1, put = 0; put < this.#request.puts && n < 255; n++) {
      const key = `${subnetsFolder}10.244.${n}.0-24`;
      if (taken.has(key)) continue;
      put++;
      const vtepMac = `0e:00:00:00:01:${n.toString(16).padStart(2, '0')}`;
      const value = encodeValue({
        publicIps: [ip(`192.168.189.${n}`)],
        backend: { type: 'vxlan', vni: 1, vtepMac },
      });
      const putMs = nowMs();
      await this.#store.commit({ compare: [], write: [{ type: 'put', key, value, session }] }, never);
      const seen = await Promise.all(monitors.map((monitor) => monitor.heard(`10.244.${n}.0/24`)));
      samples.push(...seen.map((atMs) => atMs - putMs));
      await pause(50);
    }
    await this.#store.revoke(session, never);
    return samples;
  }
}

interface Join {
  readonly startMs: number;
  readonly recordMs: number;
  readonly peers: readonly { readonly routeMs: number; readonly pingMs: number }[];
}

const request: LabBenchRequest = JSON.parse(process.argv[2] ?? '');
process.stdout.write(JSON.stringify(await new LabBench(request).run()));
