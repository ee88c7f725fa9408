/**
 * The part that runs in a network namespace of its own: a real etcd filled with leases, and the real weftd that
 * makes kernel entries of them. Prints `LeaseSamples` as JSON.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { encodeValue } from '../../agent/lease/flannel/value.ts';
import { EtcdStore } from '../../agent/lease/store/etcd/etcd-store.ts';
import type { Write } from '../../agent/lease/store/store.ts';
import { encodeNode } from '../../agent/lease/view/node-record.ts';
import { ip } from '../../inet/ip.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { RTPROT_WEFT, routes } from '../../kernel/route.ts';
import { cpuMsOf } from '../process.ts';
import { Listener, nowMs, readRoute, routeMonitor } from './listener.ts';

export interface LeaseRequest {
  /** Where etcd and the agents keep what they keep. */
  readonly folder: string;
  /** What runs it: the Node.js that weft is delivered with. */
  readonly node: string;
  readonly weftd: string;
  readonly leases: readonly number[];
  /** Starts for each number of leases. */
  readonly repeats: number;
  readonly puts: number;
  readonly quietSeconds: number;
}

/** One start of a node that has no lease yet. */
export interface Start {
  readonly leases: number;
  readonly programmedMs: number;
  readonly requests: number;
  readonly receivedBytes: number;
  /** Of the last start with so many leases, once it is over. */
  readonly residentMb: number | undefined;
}

export interface LeaseSamples {
  /** The very first one of a version, for which nothing is compiled yet. */
  readonly first: Start;
  readonly starts: readonly Start[];
  readonly putToRouteMs: readonly number[];
  /** Of weftd's processor time, for each put. */
  readonly putCpuMs: number;
  /** While nothing changes. */
  readonly quiet: {
    readonly seconds: number;
    readonly revisions: number;
    readonly requests: number;
    readonly bytes: number;
    /** Of weftd's processor time. */
    readonly cpuMs: number;
  };
}

const underlay = '192.168.250.1';
const endpoint = { secure: false, host: '127.0.0.1', port: 2379 };
const prefix = '/coreos.com/network';
const never = new AbortController().signal;
/** By then weftd has kept the code that its start compiled, and given back what the start needed. */
const settledMs = 8000;
/** By then it has asked etcd all that a start asks. */
const askedMs = 1000;

const peerSubnet = (n: number): string => `10.${128 + (n >> 8)}.${n & 255}.0/24`;
const peerKey = (n: number): string => peerSubnet(n).replace('/', '-');

function peerWrites(n: number, session: string): Write[] {
  const mac = `0e:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
  const publicIps = [ip(`192.168.${n >> 8}.${n & 255}`)];
  const value = encodeValue({ publicIps, backend: { type: 'vxlan', vni: 1, vtepMac: mac } });
  const node = {
    id: `bench-${n}`,
    name: `bench-${n}`,
    subnet: peerKey(n),
    boot: 'b',
    run: 'r',
    renewSeconds: 10,
  };
  return [
    { type: 'put', key: `subnets/${peerKey(n)}`, value, session },
    { type: 'put', key: `weft/nodes/bench-${n}`, value: encodeNode(node), session },
    { type: 'put', key: `weft/claims/${peerKey(n)}`, value: node.id, session },
  ];
}

/** Numbers from 1 on, 250 excepted in the third octet: there is the underlay. */
const peerNumbers = (count: number): number[] =>
  Array.from({ length: count + 512 }, (_, n) => n + 1)
    .filter((n) => n >> 8 !== 250)
    .slice(0, count);

class Bench {
  readonly #folder: string;
  readonly #request: LeaseRequest;
  readonly #rtnl: Rtnl = openRtnl();
  #etcd: ChildProcess | undefined;
  #agent: ChildProcess | undefined;
  #store: EtcdStore | undefined;

  constructor(request: LeaseRequest) {
    this.#request = request;
    this.#folder = request.folder;
  }

  async run(): Promise<LeaseSamples> {
    try {
      const starts: Start[] = [];
      await this.#fresh(1);
      const first = await this.#start(1, { settle: true });
      for (const leases of this.#request.leases) {
        await this.#fresh(leases);
        for (let n = 0; n < this.#request.repeats; n++) {
          await this.#forgetUs();
          starts.push(await this.#start(leases, { settle: n === this.#request.repeats - 1 }));
          await this.#stopAgent();
        }
      }
      await this.#fresh(1);
      await this.#start(1, { settle: true });
      const beforeMs = this.#cpuMs();
      const putToRouteMs = await this.#putToRoute();
      const putCpuMs = (this.#cpuMs() - beforeMs) / putToRouteMs.length;
      const quiet = await this.#quiet();
      return { first, starts, putToRouteMs, putCpuMs, quiet };
    } finally {
      await this.#stopAgent();
      await this.#stopEtcd();
      this.#rtnl.close();
    }
  }

  /** A new etcd with that many leases; the kernel without any. */
  async #fresh(leases: number): Promise<void> {
    tell(`etcd with ${leases} leases`);
    await this.#stopAgent();
    await this.#stopEtcd();
    await command('ip', ['route', 'flush', 'proto', String(RTPROT_WEFT)]);
    const data = join(this.#folder, 'etcd');
    rmSync(data, { recursive: true, force: true });
    const args = ['--data-dir', data, '--logger', 'zap', '--log-level', 'error', '--unsafe-no-fsync'];
    this.#etcd = spawn('setpriv', ['--pdeathsig', 'KILL', 'etcd', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#store = EtcdStore.open({
      type: 'etcd',
      endpoints: [endpoint],
      prefix,
      tls: undefined,
      login: undefined,
      leaseTtlSeconds: 86_400,
      peerGraceSeconds: 10,
    });
    const session = await this.#session();
    const writes = peerNumbers(leases).flatMap((n) => peerWrites(n, session));
    // etcd takes 128 operations in one transaction.
    for (let n = 0; n < writes.length; n += 120) {
      await this.#store.commit({ compare: [], write: writes.slice(n, n + 120) }, never);
    }
  }

  async #session(): Promise<string> {
    for (let tries = 0; ; tries++) {
      try {
        const granted = await this.#store?.grant(86_400, never);
        if (granted) return granted.session;
      } catch (error) {
        if (tries > 100) throw error;
      }
      await pause(50);
    }
  }

  /** A node that was here is new again: its records go, and what it put into the kernel. */
  async #forgetUs(): Promise<void> {
    const { records } = (await this.#store?.list(never)) ?? { records: [] };
    const [session] = records
      .filter(({ key }) => key.startsWith('weft/nodes/bench-'))
      .map((one) => one.session);
    const ours = records.filter((one) => one.session !== undefined && one.session !== session);
    const write = ours.map(({ key }): Write => ({ type: 'delete', key }));
    if (write.length > 0) await this.#store?.commit({ compare: [], write }, never);
    await command('ip', ['link', 'delete', 'weft.1']);
  }

  async #start(leases: number, { settle }: { settle: boolean }): Promise<Start> {
    await this.#stopAgent();
    const home = join(this.#folder, `agent-${leases}`);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    const config = join(home, 'weft.yaml');
    const store = { type: 'etcd', endpoints: ['http://127.0.0.1:2379'], prefix };
    writeFileSync(
      config,
      JSON.stringify({
        network: '10.128.0.0/9',
        store,
        underlay,
        listen: 'off',
        masquerade: false,
        runDir: join(home, 'run'),
        stateDir: join(home, 'state'),
        log: { level: process.env.WEFT_BENCH_LOG ?? 'warn' },
      }),
    );
    tell('weftd');
    const before = await metrics();
    const startedMs = performance.now();
    this.#agent = spawn(this.#request.node, [this.#request.weftd, '--config', config], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // Where compiled code is kept from one start to the next.
      env: { ...process.env, STATE_DIRECTORY: this.#folder },
    });
    while (this.#routes() < leases) {
      if (this.#agent.exitCode !== null) throw new Error(`weftd ended with ${this.#agent.exitCode}`);
      if (performance.now() - startedMs > 60_000)
        throw new Error(`${this.#routes()} of ${leases} routes after 60 s`);
      await pause(leases > 500 ? 10 : 3);
    }
    const programmedMs = performance.now() - startedMs;
    tell(`programmed after ${Math.round(programmedMs)} ms`);
    await pause(askedMs);
    const after = await metrics();
    if (settle) await pause(settledMs - askedMs);
    const status = readFileSync(`/proc/${this.#agent.pid}/status`, 'utf8');
    const residentMb = settle ? Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024 : undefined;
    return {
      leases,
      programmedMs,
      requests: after.requests - before.requests,
      receivedBytes: after.sent - before.sent,
      residentMb,
    };
  }

  #cpuMs(): number {
    return this.#agent?.pid === undefined ? Number.NaN : cpuMsOf(this.#agent.pid);
  }

  #routes(): number {
    return routes(this.#rtnl, { family: 'ipv4', protocol: RTPROT_WEFT }).length;
  }

  /** From the call of the put to the notification of the route, by `ip monitor`. */
  async #putToRoute(): Promise<number[]> {
    const monitor = new Listener(routeMonitor, readRoute);
    await pause(300);
    const session = await this.#session();
    const samples: number[] = [];
    for (const n of peerNumbers(this.#request.puts + 10).slice(10)) {
      const [lease] = peerWrites(n, session);
      const putMs = nowMs();
      if (lease) await this.#store?.commit({ compare: [], write: [lease] }, never);
      samples.push((await monitor.heard(peerSubnet(n))) - putMs);
      await pause(30);
    }
    monitor.end();
    return samples;
  }

  async #quiet(): Promise<LeaseSamples['quiet']> {
    const seconds = this.#request.quietSeconds;
    await pause(2000);
    const revision = async () => Number((await this.#store?.list(never))?.cursor);
    const [firstRevision, before] = [await revision(), await metrics()];
    const beforeMs = this.#cpuMs();
    await pause(seconds * 1000);
    const cpuMs = this.#cpuMs() - beforeMs;
    const after = await metrics();
    return {
      seconds,
      revisions: (await revision()) - firstRevision,
      requests: after.messages - before.messages,
      bytes: after.sent + after.received - before.sent - before.received,
      cpuMs,
    };
  }

  async #stopAgent(): Promise<void> {
    await end(this.#agent, 'SIGTERM');
    this.#agent = undefined;
  }

  async #stopEtcd(): Promise<void> {
    this.#store?.close();
    this.#store = undefined;
    await end(this.#etcd, 'SIGKILL');
    this.#etcd = undefined;
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const [, how] = await closed;
  clearTimeout(late);
  if (how === 'SIGKILL' && signal !== how) throw new Error(`${child.spawnfile} does not end at ${signal}`);
}

async function command(name: string, args: readonly string[]): Promise<void> {
  const child = spawn(name, args, { stdio: 'ignore' });
  await once(child, 'close');
}

/** What etcd itself has counted; a stream is one request, each message in it one message. */
async function metrics(): Promise<{ requests: number; messages: number; sent: number; received: number }> {
  const text = await (await fetch('http://127.0.0.1:2379/metrics')).text();
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    requests: sum('grpc_server_started_total'),
    messages: sum('grpc_server_msg_received_total'),
    sent: sum('etcd_network_client_grpc_sent_bytes_total'),
    received: sum('etcd_network_client_grpc_received_bytes_total'),
  };
}

function tell(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

const request: LeaseRequest = JSON.parse(process.argv[2] ?? '');
process.stdout.write(JSON.stringify(await new Bench(request).run()));
