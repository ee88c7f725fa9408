/** A plugin whose verbs only record what they are called with, and calls to it as a runtime makes them. */
import assert from 'node:assert/strict';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import { answer } from '../../../plugin/protocol/answer.ts';
import type { PluginAnswer } from '../../../plugin/protocol/call.ts';
import type {
  AddRequest,
  CheckRequest,
  DelRequest,
  GcRequest,
  StatusRequest,
  Verbs,
} from '../../../plugin/protocol/request.ts';
import type { CniResult } from '../../../plugin/protocol/result.ts';

export type Recorded =
  | { verb: 'add'; request: AddRequest }
  | { verb: 'del'; request: DelRequest }
  | { verb: 'check'; request: CheckRequest }
  | { verb: 'gc'; request: GcRequest }
  | { verb: 'status'; request: StatusRequest };

export const netns = '/run/netns/pod';

/** What ADD makes on a dual-stack node: bridge, host veth, container veth. */
export const made: CniResult = {
  interfaces: [
    { name: 'cni0', mac: '0a:58:0a:f4:01:01', mtu: 1450 },
    { name: 'veth1', mac: '0a:58:0a:f4:01:02', mtu: 1450 },
    { name: 'eth0', mac: '0a:58:0a:f4:01:05', mtu: 1450, sandbox: netns },
  ],
  ips: [
    { address: { address: ip('10.244.1.5'), length: 24 }, gateway: ip('10.244.1.1'), interface: 2 },
    { address: { address: ip('fd00:1::5'), length: 64 }, gateway: ip('fd00:1::1'), interface: 2 },
  ],
  routes: [
    { dst: cidr('0.0.0.0/0'), gw: ip('10.244.1.1'), mtu: 1450 },
    { dst: cidr('::/0'), gw: ip('fd00:1::1') },
  ],
};

export interface PluginOptions {
  readonly result?: CniResult;
  /** Every verb throws it. */
  readonly failure?: unknown;
}

export function plugin({ result = made, failure }: PluginOptions = {}) {
  const calls: Recorded[] = [];
  const record = async (call: Recorded): Promise<void> => {
    calls.push(call);
    if (failure !== undefined) throw failure;
  };
  const verbs: Verbs = {
    add: async (request) => {
      await record({ verb: 'add', request });
      return result;
    },
    del: (request) => record({ verb: 'del', request }),
    check: (request) => record({ verb: 'check', request }),
    gc: (request) => record({ verb: 'gc', request }),
    status: (request) => record({ verb: 'status', request }),
  };
  return { verbs, calls };
}

const environments: Readonly<Record<string, Record<string, string>>> = {
  ADD: { CNI_CONTAINERID: 'pod', CNI_NETNS: netns, CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin' },
  CHECK: { CNI_CONTAINERID: 'pod', CNI_NETNS: netns, CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin' },
  DEL: { CNI_CONTAINERID: 'pod', CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin' },
  GC: { CNI_PATH: '/opt/cni/bin' },
  STATUS: { CNI_PATH: '/opt/cni/bin' },
  VERSION: {},
};

export interface Invocation extends PluginOptions {
  readonly verb: string;
  /** On top of what the verb needs; null takes a variable away. */
  readonly env?: Readonly<Record<string, string | null>>;
  /** On top of a minimal configuration in the newest version; null for a prevResult that CHECK would get. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** In place of a configuration. */
  readonly stdin?: string | Uint8Array;
}

export interface Outcome extends PluginAnswer {
  readonly calls: readonly Recorded[];
  /** stdout as JSON; undefined if there is none. */
  readonly output: Record<string, unknown> | undefined;
}

/** Makes the call and returns what became of it; asserts what holds for every answer. */
export async function invoke(invocation: Invocation): Promise<Outcome> {
  const { verb, env = {}, config = {}, stdin } = invocation;
  const target = plugin(invocation);
  const full: Record<string, string | null> = { CNI_COMMAND: verb, ...environments[verb], ...env };
  const set = Object.entries(full).filter((entry): entry is [string, string] => entry[1] !== null);
  const configuration = { cniVersion: '1.1.0', name: 'net', type: 'weft', ...config };
  const bytes = typeof stdin === 'string' ? Buffer.from(stdin) : stdin;
  const answered = await answer(
    { env: Object.fromEntries(set), stdin: bytes ?? Buffer.from(JSON.stringify(configuration)) },
    target.verbs,
  );
  assertWellFormed(answered);
  return { ...answered, calls: target.calls, output: parsed(answered.stdout) };
}

/** The config that a successful ADD with it is decoded to. */
export async function configOf(invocation: Omit<Invocation, 'verb'>) {
  const { calls, stdout } = await invoke({ verb: 'ADD', ...invocation });
  const [call] = calls;
  assert.equal(call?.verb, 'add', stdout);
  assert.ok(call.verb === 'add');
  return call.request.config;
}

export interface Refusal {
  readonly code: number;
  readonly msg?: string | RegExp;
  readonly details?: string | RegExp;
}

export function assertRefused(outcome: Outcome, expected: Refusal): void {
  assert.equal(outcome.status, 1, outcome.stdout);
  assert.equal(outcome.output?.code, expected.code, outcome.stdout);
  for (const key of ['msg', 'details'] as const) {
    const wanted = expected[key];
    const text: string = String(outcome.output?.[key]);
    if (typeof wanted === 'string') assert.equal(text, wanted);
    else if (wanted) assert.match(text, wanted);
  }
}

/** What no answer may ever violate: JSON or nothing on stdout, errors with version, code and text, no stack. */
export function assertWellFormed({ status, stdout, stderr }: PluginAnswer): void {
  assert.ok(status === 0 || status === 1);
  const value = parsed(stdout);
  if (value) assert.match(String(value.cniVersion), /^\d+\.\d+\.\d+$/);
  if (status === 1) {
    assert.equal(typeof value?.code, 'number', stdout);
    assert.ok(Number(value?.code) > 0);
    assert.ok(typeof value?.msg === 'string' && value.msg !== '', stdout);
    assert.notEqual(value.details, '');
  }
  assert.doesNotMatch(stdout + stderr, /\bat .*\.(js|ts):\d+/);
}

function parsed(stdout: string): Record<string, unknown> | undefined {
  return stdout === '' ? undefined : (JSON.parse(stdout) as Record<string, unknown>);
}
