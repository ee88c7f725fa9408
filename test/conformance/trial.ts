/** One case, on one subject, in one version, on a ground of its own: what a case works with. */
import assert from 'node:assert/strict';
import { isObject, type Json } from '../../json/object.ts';
import { executePlugin, type PluginExit } from '../../libcni/execute.ts';
import type { CniVersion } from '../../plugin/protocol/version.ts';
import type { Ground } from './ground.ts';
import { type Address, globalAddresses, type Link, type Route } from './kernel-state.ts';
import type { Subject } from './subject.ts';

/** The variables of a call besides the verb; null takes one away. */
export type Variables = Readonly<Record<string, string | null>>;

export interface CallOptions {
  readonly env?: Variables;
  /** On top of the case's configuration. */
  readonly config?: Json;
  /** In place of a configuration. */
  readonly stdin?: string;
}

/** A refusal that the specification or the reference's words define. */
export interface Refusal {
  readonly code: number;
  readonly msg?: RegExp;
}

/** What the reference answers to most that goes wrong in a plugin's body. */
const catchAllCodes = [999, 100];

export class Trial {
  readonly ground: Ground;
  readonly subject: Subject;
  readonly version: CniVersion;
  /** Where the subject's answer is right by its own lights, but not what we promise. */
  readonly differences: string[] = [];

  constructor(about: { ground: Ground; subject: Subject; version: CniVersion }) {
    this.ground = about.ground;
    this.subject = about.subject;
    this.version = about.version;
  }

  get isReference(): boolean {
    return this.subject.oracle ?? false;
  }

  /** The network of every case: one IPv4 range, addresses from `.2` on, unless `more` says otherwise. */
  config(more: Json = {}): Json {
    return {
      cniVersion: this.version,
      name: 'trial',
      type: this.subject.type,
      bridge: 'trial0',
      ipam: ipv4,
      ...more,
    };
  }

  /** Makes a pod's namespace; returns its path. */
  async pod(name = 'pod'): Promise<string> {
    await this.ground.must('ip', 'netns', 'add', name);
    return netnsOf(name);
  }

  /** Executes the subject with exactly these variables and bytes. */
  async execute(env: Variables, stdin: string): Promise<PluginExit> {
    const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== null);
    const { prefix } = this.ground;
    const { type, pluginDirs } = this.subject;
    const unset = Object.keys(env).filter((name) => env[name] === null);
    return await executePlugin({
      type,
      pluginDirs,
      stdin,
      prefix: [...prefix, 'env', ...unset.flatMap((name) => ['-u', name])],
      env: Object.fromEntries(set),
    });
  }

  /** A call for pod `pod`'s `eth0` unless `env` says otherwise. */
  async call(verb: string, { env = {}, config = {}, stdin }: CallOptions = {}): Promise<PluginExit> {
    const variables = { ...variablesOf(verb), CNI_COMMAND: verb, ...env };
    return await this.execute(variables, stdin ?? JSON.stringify(this.config(config)));
  }

  /** ADD that must succeed; its result. */
  async add(options: CallOptions = {}): Promise<Json> {
    return resultOf(await this.call('ADD', options));
  }

  /** The same for pod `pod`, whose namespace it makes. */
  async addPod(options: CallOptions = {}): Promise<Json> {
    await this.pod();
    return await this.add(options);
  }

  /** DEL, CHECK, GC or STATUS that must succeed, in silence. */
  async succeeds(verb: string, options: CallOptions = {}): Promise<void> {
    const exit = await this.call(verb, options);
    assert.equal(exit.status, 0, `${verb}: ${exit.stdout}${exit.stderr}`);
    assert.equal(exit.stdout, '', `${verb} must print nothing`);
  }

  async refuses(verb: string, refusal: Refusal, options: CallOptions = {}): Promise<void> {
    this.assertRefused(await this.call(verb, options), refusal);
  }

  /** Non-zero status, and an error object on stdout with the code and the words. */
  assertRefused(exit: PluginExit, { code, msg = /./ }: Refusal): void {
    assert.notEqual(exit.status, 0, `accepted: ${exit.stdout}`);
    const error = parsed(exit.stdout);
    const text = `${error.msg} ${error.details ?? ''}`;
    assert.doesNotMatch(exit.stdout, /\bat .*\.(js|ts):\d+/, 'a stack trace');
    assert.match(text, msg);
    if (this.isReference && code !== error.code && catchAllCodes.includes(Number(error.code))) {
      this.differences.push(`code ${error.code} where the true one is ${code}`);
      return;
    }
    assert.equal(error.code, code, exit.stdout);
    assert.match(text, msg);
    if (!this.isReference) assert.match(String(error.cniVersion), /^\d+\.\d+\.\d+$/);
  }

  async links(pod?: string): Promise<Link[]> {
    return JSON.parse(await this.#ip(pod, '-d', 'link')) as Link[];
  }

  async link(name: string, pod?: string): Promise<Link | undefined> {
    return (await this.links(pod)).find((each) => each.ifname === name);
  }

  /** Those of one interface. */
  async addresses(ifname: string, pod?: string): Promise<Address[]> {
    const all = JSON.parse(await this.#ip(pod, 'addr')) as { ifname: string; addr_info: Address[] }[];
    return all.find((each) => each.ifname === ifname)?.addr_info ?? [];
  }

  /** Those of the main table, or those that `which` selects in words of `ip route show`. */
  async routes(family: '-4' | '-6', pod?: string, ...which: string[]): Promise<Route[]> {
    return JSON.parse((await this.#ip(pod, family, 'route', 'show', ...which)) || '[]') as Route[];
  }

  /** Everything that a call may have changed outside pods, as text to compare. */
  async hostState(): Promise<string> {
    const links = (await this.links()).map((each) => [each.ifname, each.master, each.linkinfo?.info_kind]);
    return JSON.stringify(links.sort());
  }

  /** Links and addresses of the host and of a pod, as text to compare. */
  async addressState(pod: string): Promise<string> {
    const states = [undefined, pod].map(async (place) => {
      const all = JSON.parse(await this.#ip(place, 'addr')) as (Link & { addr_info: Address[] })[];
      return all.map((each) => [
        ...[each.ifname, each.address, each.mtu, each.master],
        ...globalAddresses(each.addr_info),
      ]);
    });
    return JSON.stringify((await Promise.all(states)).flat().sort());
  }

  async #ip(pod: string | undefined, ...args: string[]): Promise<string> {
    const namespace = pod === undefined ? [] : ['-n', pod];
    return (await this.ground.must('ip', '-j', ...namespace, ...args)).trim();
  }
}

export const ipv4 = { type: 'host-local', ranges: [[{ subnet: '10.7.0.0/24' }]] };
export const ipv6 = { type: 'host-local', ranges: [[{ subnet: 'fd00:7::/64' }]] };
export const dual = { type: 'host-local', ranges: [...ipv4.ranges, ...ipv6.ranges] };

/** Exactly one address, `.2`, beside the gateway. */
export const onlyOne = { type: 'host-local', ranges: [[{ subnet: '10.7.0.0/24', rangeEnd: '10.7.0.2' }]] };

export const netnsOf = (pod: string): string => `/run/netns/${pod}`;

/** The same for another pod or interface. */
export const of = (pod: string, ifname = 'eth0'): Variables => ({
  CNI_CONTAINERID: pod,
  CNI_NETNS: netnsOf(pod),
  CNI_IFNAME: ifname,
});

const variablesOf = (verb: string): Variables =>
  ['GC', 'STATUS', 'VERSION'].includes(verb) ? {} : of('pod');

export function resultOf(exit: PluginExit): Json {
  assert.equal(exit.status, 0, `${exit.stdout}${exit.stderr}`);
  return parsed(exit.stdout);
}

export function parsed(stdout: string): Json {
  const value: unknown = JSON.parse(stdout || 'null');
  assert.ok(isObject(value), `no JSON object on stdout: ${JSON.stringify(stdout)}`);
  return value;
}

/** A list in a result, of objects; empty where it is absent. */
export function listOf(result: Json, key: string): Json[] {
  const value = result[key] ?? [];
  assert.ok(Array.isArray(value), `${key} is no list`);
  return value.filter(isObject);
}

/** The addresses of a result of any version, as `ADDRESS/LENGTH`. */
export function addressesIn(result: Json): string[] {
  const old = [result.ip4, result.ip6].filter(isObject).map((each) => String(each.ip));
  return [...old, ...listOf(result, 'ips').map((each) => String(each.address))];
}
