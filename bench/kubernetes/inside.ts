/**
 * The part that runs in a network namespace of its own: a real API server with made Nodes, and the real weftd that
 * makes kernel entries of them. Prints `KubernetesSamples` as JSON.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openRtnl } from '../../kernel/netlink/rtnl.ts';
import { RTPROT_WEFT, routes } from '../../kernel/route.ts';
import type { ApiClient } from '../../kubernetes/client.ts';
import { listAll } from '../../kubernetes/list.ts';
import { nodes } from '../../kubernetes/resource.ts';
import { watch } from '../../kubernetes/watch.ts';
import { type ApiServer, startApiServer } from '../../test/kubernetes/api-server.ts';
import { startFaultProxy } from '../../test/kubernetes/fault-proxy.ts';
import { Listener, nowMs, readRoute, routeMonitor } from '../leases/listener.ts';
import { cpuMsOf } from '../process.ts';
import { MadeNodes, nodeName, subnetOf } from './made-nodes.ts';

export interface KubernetesRequest {
  readonly folder: string;
  /** What runs it: the Node.js that weft is delivered with. */
  readonly node: string;
  readonly weftd: string;
  /** In rising order. */
  readonly counts: readonly number[];
  readonly repeats: number;
  readonly announcements: number;
}

export interface Start {
  readonly nodes: number;
  readonly programmedMs: number;
  /** Of that, what the API server takes to send the list, with nobody reading it closely. */
  readonly listMs: number;
  /** weftd's processor time until then: the part that no other load of the machine adds to. */
  readonly cpuMs: number;
  readonly residentMb: number | undefined;
}

export interface KubernetesSamples {
  readonly starts: readonly Start[];
  /** Of one start of a new node with the first count of nodes, until the condition is written. */
  readonly requests: number;
  /** When every node of the first count reports its status once. */
  readonly reports: {
    readonly metadataBytes: number;
    readonly wholeBytes: number;
    readonly cpuMs: number;
  };
  /** From before the call until the route is notified. */
  readonly announcedMs: readonly number[];
}

const underlay = '192.168.250.1';
const own = 0;
const settledMs = 8000;
const kept: (() => void | Promise<void>)[] = [];
const cleanup = { after: (done: () => void | Promise<void>) => void kept.push(done) };
const never = new AbortController().signal;
// As many as there are requests at once.
setMaxListeners(0, never);
const rtnl = openRtnl();

/** 250 is the underlay's third octet nowhere: subnets are in 10.128.0.0/9. */
const peers = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

class Agent {
  readonly #process: ChildProcess;
  readonly startedMs = performance.now();

  constructor(request: KubernetesRequest, given: { server: ApiServer; port?: number; first: boolean }) {
    const home = join(request.folder, 'agent');
    if (given.first) rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    const config = join(home, 'weft.yaml');
    const kubeconfig = join(home, 'kubeconfig');
    writeFileSync(kubeconfig, kubeconfigOf(given));
    writeFileSync(
      config,
      JSON.stringify({
        network: '10.128.0.0/9',
        store: { type: 'kubernetes', kubeconfig, nodeName: nodeName(own) },
        ...{ underlay, listen: 'off', masquerade: false },
        runDir: join(home, 'run'),
        stateDir: join(home, 'state'),
        log: { level: process.env.WEFT_BENCH_LOG ?? 'error' },
      }),
    );
    this.#process = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', request.node, request.weftd, '--config', config],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, STATE_DIRECTORY: request.folder },
      },
    );
  }

  get cpuMs(): number {
    return cpuMsOf(this.#process.pid ?? 0);
  }

  get residentMb(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  async programmed(count: number): Promise<number> {
    while (routes(rtnl, { family: 'ipv4', protocol: RTPROT_WEFT }).length < count) {
      if (this.#process.exitCode !== null) throw new Error(`weftd ended with ${this.#process.exitCode}`);
      if (performance.now() - this.startedMs > 60_000) throw new Error(`not ${count} routes after 60 s`);
      await pause(count > 500 ? 10 : 3);
    }
    return performance.now() - this.startedMs;
  }

  async stop(): Promise<void> {
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGTERM');
    await closed;
  }
}

const kubeconfigOf = ({ server, port }: { server: ApiServer; port?: number }): string =>
  JSON.stringify({
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [
      {
        name: 'bench',
        cluster: {
          server: `https://127.0.0.1:${port ?? server.port}`,
          'certificate-authority': server.caFile,
        },
      },
    ],
    users: [{ name: 'bench', user: { token: server.adminToken } }],
  });

async function run(request: KubernetesRequest): Promise<KubernetesSamples> {
  const server = await startApiServer(cleanup);
  const made = new MadeNodes(server.client(), never);
  await made.create([own], false);
  // The first start of a version compiles its code, and keeps it for the others once it has settled.
  await made.create(peers(1));
  await start(request, { server, count: 1, settle: true });
  const starts: Start[] = [];
  let known = 1;
  let first: Pick<KubernetesSamples, 'requests' | 'reports'> | undefined;
  for (const count of request.counts) {
    tell(`${count} Nodes`);
    await made.create(peers(count).slice(known));
    known = count;
    for (let n = 0; n < request.repeats; n++) {
      starts.push(await start(request, { server, count, settle: n === request.repeats - 1 }));
    }
    first ??= {
      requests: await countRequests(request, { server, made, count }),
      reports: await reports(request, server, made),
    };
  }
  if (!first) throw new Error('no count of Nodes was given');
  return { starts, ...first, announcedMs: await announce(request, server, made) };
}

/** The kernel without anything of an earlier start. */
function forget(): void {
  if (routes(rtnl, { family: 'ipv4', protocol: RTPROT_WEFT }).length === 0) return;
  execFileSync('ip', ['link', 'delete', 'weft.1']);
}

async function start(
  request: KubernetesRequest,
  given: { server: ApiServer; count: number; settle: boolean },
): Promise<Start> {
  const { server, count, settle } = given;
  forget();
  const listMs = await listTime(server.client());
  const agent = new Agent(request, { server, first: true });
  const programmedMs = await agent.programmed(count);
  const cpuMs = agent.cpuMs;
  tell(
    `${count} programmed after ${Math.round(programmedMs)} ms, list ${Math.round(listMs)} ms, processor ${cpuMs} ms`,
  );
  if (settle) await pause(settledMs);
  const residentMb = settle ? agent.residentMb : undefined;
  await agent.stop();
  return { nodes: count, programmedMs, listMs, cpuMs, residentMb };
}

/** The same requests as weftd's, with the answers thrown away. */
async function listTime(client: ApiClient): Promise<number> {
  const startedMs = performance.now();
  let next: string | undefined;
  do {
    const query = { limit: 500, continue: next };
    const page = await client.open({ verb: 'list', place: nodes, query, signal: never });
    let head = '';
    for await (const chunk of page as AsyncIterable<Buffer>) head ||= chunk.toString('utf8', 0, 2000);
    next = /"continue":"([^"]+)"/.exec(head)?.[1];
  } while (next !== undefined);
  return performance.now() - startedMs;
}

/** Through a proxy that counts: not in the runs whose time is measured. */
async function countRequests(
  request: KubernetesRequest,
  { server, made, count }: { server: ApiServer; made: MadeNodes; count: number },
): Promise<number> {
  forget();
  await made.remove(own);
  await made.create([own], false);
  const proxy = await startFaultProxy(cleanup, server);
  const agent = new Agent(request, { server, port: proxy.port, first: true });
  await agent.programmed(count);
  await pause(2000);
  await agent.stop();
  return proxy.requests.length;
}

async function reports(
  request: KubernetesRequest,
  server: ApiServer,
  made: MadeNodes,
): Promise<KubernetesSamples['reports']> {
  const count = request.counts[0] ?? 0;
  const direct = new Agent(request, { server, first: true });
  await direct.programmed(count);
  await pause(settledMs);
  const stop = new AbortController();
  const { resourceVersion } = await listAll({
    client: server.client(),
    place: nodes,
    digest: () => 0,
    signal: never,
  });
  const [metadata, whole] = (['metadata', 'object'] as const).map((as) => {
    const client = server.client();
    return { client, events: follow(client, { as, resourceVersion, count, signal: stop.signal }) };
  });
  if (!metadata || !whole) throw new Error('two watches are expected');
  await pause(500);
  const before = direct.cpuMs;
  await made.reportStatus(peers(count));
  await Promise.all([metadata.events, whole.events]);
  await pause(500);
  const cpuMs = direct.cpuMs - before;
  stop.abort();
  await direct.stop();
  return {
    metadataBytes: metadata.client.received,
    wholeBytes: whole.client.received,
    cpuMs,
  };
}

/** Resolves once so many events have come. */
async function follow(
  client: ApiClient,
  given: { as: 'object' | 'metadata'; resourceVersion: string; count: number; signal: AbortSignal },
): Promise<void> {
  const { as, resourceVersion, count, signal } = given;
  let seen = 0;
  const watching = watch({
    ...{ client, place: nodes, as, resourceVersion, signal },
    ...{ serverTimeoutSeconds: 600, idleMs: 120_000 },
  });
  for await (const events of watching) {
    seen += events.filter(({ type }) => type === 'MODIFIED').length;
    if (seen >= count) return;
  }
}

async function announce(request: KubernetesRequest, server: ApiServer, made: MadeNodes): Promise<number[]> {
  const agent = new Agent(request, { server, first: true });
  const count = request.counts.at(-1) ?? 0;
  await agent.programmed(count);
  const monitor = new Listener(routeMonitor, readRoute);
  await pause(2000);
  const samples: number[] = [];
  for (let n = 0; n < request.announcements; n++) {
    const number = count + 1 + n;
    await made.create([number], false);
    await pause(30);
    const calledMs = nowMs();
    await made.announce(number, 0);
    samples.push((await monitor.heard(subnetOf(number))) - calledMs);
  }
  monitor.end();
  await agent.stop();
  return samples;
}

function tell(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

const request: KubernetesRequest = JSON.parse(process.argv[2] ?? '');
try {
  process.stdout.write(JSON.stringify(await run(request)));
} finally {
  for (const done of kept.reverse()) await done();
  rtnl.close();
}
