/** Nodes at a real API server, and agents' lease holders for them: what the tests of leases from Nodes are made of. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultRange } from '../../agent/lease/flannel/cluster-config.ts';
import { acquireFromNode } from '../../agent/lease/kubernetes/acquire.ts';
import { defaultAnnotationPrefix } from '../../agent/lease/kubernetes/annotations.ts';
import type { KubernetesHolder } from '../../agent/lease/kubernetes/holder.ts';
import type { LeaseAttributes, Peers } from '../../agent/lease/lease.ts';
import { cidr, formatCidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import type { ApiClient } from '../../kubernetes/client.ts';
import { type JsonObject, objectIn } from '../../kubernetes/json.ts';
import { nodes } from '../../kubernetes/resource.ts';
import type { Log } from '../../log/log.ts';
import type { ApiServer } from './api-server.ts';

const json = 'application/json';
const signal = (): AbortSignal => AbortSignal.timeout(10_000);

export class Nodes {
  readonly #admin: ApiClient;

  constructor(server: ApiServer) {
    this.#admin = server.admin;
  }

  create(name: string, podCIDRs: readonly string[], annotations: object = {}): Promise<JsonObject> {
    const spec = podCIDRs.length ? { podCIDR: podCIDRs[0], podCIDRs } : {};
    const object = { metadata: { name, annotations }, spec };
    return this.#admin.request({
      verb: 'create',
      place: nodes,
      body: { type: json, object },
      signal: signal(),
    });
  }

  remove(name: string): Promise<JsonObject> {
    return this.#admin.request({ verb: 'delete', place: { ...nodes, name }, signal: signal() });
  }

  async removeAll(): Promise<void> {
    const list = await this.#admin.request({ verb: 'list', place: nodes, signal: signal() });
    for (const node of list.items as JsonObject[]) {
      await this.remove(String(objectIn(node, 'metadata')?.name));
    }
  }

  get(name: string): Promise<JsonObject> {
    return this.#admin.request({ verb: 'get', place: { ...nodes, name }, signal: signal() });
  }

  async annotations(name: string): Promise<Record<string, string>> {
    return (objectIn(objectIn(await this.get(name), 'metadata'), 'annotations') ?? {}) as Record<
      string,
      string
    >;
  }

  async condition(name: string): Promise<{ status: string; reason: string; message: string } | undefined> {
    const conditions = (objectIn(await this.get(name), 'status')?.conditions ?? []) as JsonObject[];
    return conditions.find(({ type }) => type === 'NetworkUnavailable') as never;
  }

  /** A merge patch; `null` removes a field. */
  patch(name: string, object: object): Promise<JsonObject> {
    const body = { type: 'application/merge-patch+json', object };
    return this.#admin.request({ verb: 'patch', place: { ...nodes, name }, body, signal: signal() });
  }

  /** What the controller manager does. */
  assign(name: string, podCIDRs: readonly string[]): Promise<JsonObject> {
    return this.patch(name, { spec: { podCIDR: podCIDRs[0], podCIDRs } });
  }

  /** The messages of the Events on a Node, with their reasons. */
  async events(name: string): Promise<string[]> {
    const list = await this.#admin.request({
      verb: 'list',
      place: { group: '', version: 'v1', plural: 'events', namespace: 'default' },
      query: { fieldSelector: `involvedObject.kind=Node,involvedObject.name=${name}` },
      signal: signal(),
    });
    return (list.items as JsonObject[]).map(({ reason, message }) => `${reason}: ${message}`);
  }
}

export interface Agent {
  /** Rejects where the test ends before there is a lease. */
  readonly acquired: Promise<KubernetesHolder>;
  readonly waiting: string[];
  readonly log: { readonly event: string; readonly fields: object }[];
  readonly client: ApiClient;
  readonly runDir: string;
  readonly stateDir: string;
  leaseFile(): { phase: string; deadlineMs: number | null; reason: string | null };
  /** Resolves once the condition holds, looked at after everything that the agent logs or waits for. */
  until(condition: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  readonly server: ApiServer;
  readonly name: string;
  readonly port?: number;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly ca?: string | undefined;
  readonly networks?: readonly string[];
  readonly attributes?: Partial<LeaseAttributes>;
  /** Another life of this agent. */
  readonly after?: Agent;
  readonly hasPodsIn?: () => boolean;
}

export const mac = (n: number): string => `02:00:00:00:00:${String(n).padStart(2, '0')}`;

export function startAgent(options: AgentOptions): Agent {
  const { server, name, after } = options;
  const stop = new AbortController();
  const folder = after ? join(after.runDir, '..') : mkdtempSync(join(server.folder, 'node-'));
  const [runDir, stateDir] = [join(folder, 'run'), join(folder, 'state')];
  const waiting: string[] = [];
  const log: { event: string; fields: object }[] = [];
  const lookers = new Set<() => void>();
  const look = (): void => {
    for (const one of lookers) one();
  };
  const write = (event: string, fields: object = {}): void => {
    log.push({ event, fields });
    setImmediate(look);
  };
  const recorded: Log = { debug: write, info: write, warn: write, error: write, fatal: write };
  const number = Number(/\d+/.exec(name)?.[0] ?? 1);
  const networks = (options.networks ?? ['10.244.0.0/16']).map((text) => {
    const network = cidr(text);
    return defaultRange({ cidr: network, subnetLength: network.family === 'ipv4' ? 24 : 64 });
  });
  const client = server.client({
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.token === undefined ? {} : { token: { text: options.token } }),
    ...(options.tokenFile === undefined ? {} : { token: { file: options.tokenFile } }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  let holder: KubernetesHolder | undefined;
  const acquired = acquireFromNode({
    client,
    nodeName: name,
    annotationPrefix: defaultAnnotationPrefix,
    cluster: { networks, backend: { type: 'vxlan', vni: 1, port: 8472 } },
    attributes: {
      publicIps: [ip(`192.168.188.${100 + number}`)],
      backend: { type: 'vxlan', vni: 1, vtepMac: mac(number) },
      ...options.attributes,
    },
    hasPodsIn: options.hasPodsIn ?? (() => false),
    onWaiting: (code, reason) => {
      waiting.push(`${code}: ${reason}`);
      look();
    },
    runDir,
    stateDir,
    log: recorded,
    timing: { firstPauseMs: 20, longestPauseMs: 200, leastWatchMs: 100 },
    signal: stop.signal,
  }).then((made) => {
    holder = made;
    made.watchPeers(look, stop.signal);
    made.watchStatus(look, stop.signal);
    look();
    return made;
  });
  acquired.catch(() => undefined);
  return {
    acquired,
    waiting,
    log,
    client,
    runDir,
    stateDir,
    leaseFile: () => JSON.parse(readFileSync(join(runDir, 'lease.json'), 'utf8')),
    until: (condition) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!condition()) return;
          lookers.delete(check);
          resolve();
        };
        lookers.add(check);
        check();
      }),
    stop: async () => {
      stop.abort(new Error('the test ended'));
      await holder?.done;
      client.close();
    },
  };
}

/** Subnet → public IP and MAC, or whatever of it there is. */
export const peersOf = ({ leases }: Peers): Record<string, string> =>
  Object.fromEntries(
    [...leases.values()].map(({ subnets, publicIps, backend, nodeName }) => [
      subnets.map(formatCidr).join(),
      [nodeName, ...publicIps.map((address) => address.value & 0xffn), backend.vtepMac].join(' '),
    ]),
  );
