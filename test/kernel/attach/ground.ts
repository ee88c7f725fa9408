/**
 * Ground for tests of plugin/attach: this process moves into a network namespace of its own, which is the host
 * from then on (for netlink, /proc/sys/net and every program that is started), and pods are made beside it.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setns } from '../../../kernel/ffi.ts';
import { openNetns, within } from '../../../kernel/netns.ts';
import { elements, nameOfElement } from '../../../kernel/nft/element.ts';
import { openNfnl } from '../../../kernel/nft/nfnetlink.ts';
import type { HostOptions } from '../../../plugin/attach/host.ts';
import { podRules } from '../../../plugin/attach/pod-rules.ts';
import { createVerbs } from '../../../plugin/attach/verbs.ts';
import { answer } from '../../../plugin/protocol/answer.ts';
import type { PluginCall } from '../../../plugin/protocol/call.ts';

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

// biome-ignore lint/suspicious/noExplicitAny: what iproute2 prints is looked at field by field
export const ipJson = (...args: string[]): any[] => JSON.parse(run('ip', '-j', '-d', ...args) || '[]');

const prefix = `weft-attach-${process.pid}`;
const hostName = `${prefix}-host`;
let pods = 0;

/** From here on, this process lives in a namespace of its own. */
export function enterHost(): void {
  run('ip', 'netns', 'add', hostName);
  const host = openNetns(`/run/netns/${hostName}`);
  setns(host.fd, 'enter the test host');
  host.close();
  run('ip', 'link', 'set', 'lo', 'up');
}

/** Takes away every namespace that was made here. */
export function leaveHost(): void {
  for (const name of readdirSync('/run/netns')) {
    if (name.startsWith(`${prefix}-`)) run('ip', 'netns', 'del', name);
  }
}

/** A sandbox as a runtime makes one, still without a network. */
export class Pod {
  readonly containerId: string;
  readonly namespace: string;

  constructor(name = 'pod') {
    this.containerId = `${name}-${++pods}`;
    this.namespace = `${prefix}-${pods}`;
    run('ip', 'netns', 'add', this.namespace);
  }

  get netns(): string {
    return `/run/netns/${this.namespace}`;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as ipJson
  ipJson(...args: string[]): any[] {
    return ipJson('-n', this.namespace, ...args);
  }

  /** Runs a synchronous block inside. */
  within<T>(block: () => T): T {
    const netns = openNetns(this.netns);
    try {
      return within(netns, block);
    } finally {
      netns.close();
    }
  }

  /** A file as a process inside sees it. */
  read(path: string): string {
    return this.within(() => readFileSync(path, 'utf8'));
  }

  run(command: string, ...args: string[]): string {
    return run('ip', 'netns', 'exec', this.namespace, command, ...args);
  }

  /** The same as `ping`, from inside. */
  ping(address: string): void {
    assertAnswered(this.run(...onePing(address)));
  }

  get exists(): boolean {
    return existsSync(this.netns);
  }

  destroy(): void {
    run('ip', 'netns', 'del', this.namespace);
  }
}

const onePing = (address: string) => ['ping', '-c1', '-W10', address] as const;

/** Asked again after a second, a neighbour that has not heard the first question gives an answer that is late. */
function assertAnswered(said: string): void {
  assert.ok(Number(/ time=([\d.]+) ms/.exec(said)?.[1]) < 900, said);
}

/** One packet, which must be answered at once. */
export const ping = (address: string): void => assertAnswered(run(...onePing(address)));

export interface Answer {
  readonly status: number;
  /** The result, or the error object. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON as a runtime sees it
  readonly json: any;
}

/** A node's plugin, with a runDir of its own. */
export class Plugin {
  readonly runDir: string;
  readonly verbs: ReturnType<typeof createVerbs>;
  /** The network's configuration; tests replace it. */
  config: Record<string, unknown> = {};

  constructor(options: Partial<HostOptions> = {}) {
    this.runDir = options.runDir ?? mkdtempSync(join(tmpdir(), 'weft-attach-'));
    this.verbs = createVerbs({ ...options, runDir: this.runDir });
  }

  lease(lines: Record<string, string | number> = {}): void {
    const keys = {
      FLANNEL_NETWORK: '10.244.0.0/16',
      FLANNEL_SUBNET: '10.244.1.1/24',
      FLANNEL_MTU: 1450,
      FLANNEL_IPMASQ: 'true',
      ...lines,
    };
    const text = Object.entries(keys).map(([key, value]) => `${key}=${value}\n`);
    writeFileSync(join(this.runDir, 'subnet.env'), text.join(''));
  }

  call(verb: string, pod?: Pod, more: { env?: Record<string, string>; config?: object } = {}): PluginCall {
    const env = {
      CNI_COMMAND: verb,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
      ...(pod ? { CNI_CONTAINERID: pod.containerId, CNI_NETNS: pod.netns } : {}),
      ...more.env,
    };
    const network = { cniVersion: '1.1.0', name: 'weft', type: 'weft', ...this.config, ...more.config };
    return { env, stdin: Buffer.from(JSON.stringify(network)) };
  }

  async do(
    verb: string,
    ...rest: [pod?: Pod, more?: { env?: Record<string, string>; config?: object }]
  ): Promise<Answer> {
    const { status, stdout } = await answer(this.call(verb, ...rest), this.verbs);
    return { status, json: stdout === '' ? undefined : JSON.parse(stdout) };
  }

  /** The same, and it must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON as a runtime sees it
  async must(...call: Parameters<Plugin['do']>): Promise<any> {
    const { status, json } = await this.do(...call);
    assert.equal(status, 0, JSON.stringify(json));
    return json;
  }

  /** The same, and it must be refused with this code. */
  async refused(code: number, message: RegExp, ...call: Parameters<Plugin['do']>): Promise<void> {
    const { status, json } = await this.do(...call);
    assert.equal(status, 1, `expected a refusal, got ${JSON.stringify(json)}`);
    assert.match(json.msg, message);
    assert.equal(json.code, code, json.msg);
  }

  /** Addresses on record as taken. */
  allocated(network = 'weft'): string[] {
    return list(join(this.runDir, 'ipam', network)).sort();
  }

  records(): string[] {
    return list(join(this.runDir, 'attachments'));
  }

  /** I7: no link of ours but bridges, no address, no record, no draft. */
  assertNothingLeft(): void {
    const links = ipJson('link', 'show').filter(({ linkinfo }) => linkinfo?.info_kind !== 'bridge');
    assert.deepEqual(
      links.map(({ ifname }) => ifname),
      ['lo'],
    );
    assert.deepEqual(this.allocated(), []);
    assert.deepEqual(this.records(), []);
    assert.deepEqual(list(join(this.runDir, 'ipam-order/weft/new')), []);
    assert.deepEqual(elementsInSets(), []);
  }

  /**
   * Forgets the devices and the firewall, so that tests do not see each other's. A pod's end of a pair may be
   * going at this moment with its namespace, which the kernel dismantles in its own time.
   */
  dispose(): void {
    this.verbs.close();
    run('nft', 'flush', 'ruleset');
    for (const name of devices()) spawnSync('ip', ['link', 'del', name]);
    assert.deepEqual(devices(), []);
    rmSync(this.runDir, { recursive: true });
  }
}

/** Every device of the host but the loopback one. */
const devices = (): string[] =>
  ipJson('link', 'show')
    .map(({ ifname }) => ifname)
    .filter((name) => name !== 'lo');

/** What is in weft's sets and maps. */
function elementsInSets(): string[] {
  const nfnl = openNfnl();
  try {
    return podRules
      .flatMap(({ sets }) => sets)
      .flatMap((set) => (elements(nfnl, set) ?? []).map(({ key }) => nameOfElement({ set, key })));
  } finally {
    nfnl.close();
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Without their lengths. */
export const addressesOf = (result: { ips: { address: string }[] }): string[] =>
  result.ips.map(({ address }) => address.replace(/\/.*/, ''));

export const addressOf = (result: { ips: { address: string }[] }, family = 4): string => {
  const found = addressesOf(result).find((text) => text.includes(':') === (family === 6));
  assert.ok(found);
  return found;
};

const PATIENCE_MS = 30_000;

/** The kernel dismantles a namespace in its own time. */
export async function waitFor(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `it did not happen within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
