/** Short histories of nodes on a real etcd, faults in an order that chance gives: what `test/simulation` does, for real. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readLeaseFile } from '../../agent/lease/disk/lease-file.ts';
import { renounceSaved } from '../../agent/lease/disk/renounce.ts';
import { readRun } from '../../agent/lease/disk/run.ts';
import type { LeaseHolder } from '../../agent/lease/holder.ts';
import { leaveCluster } from '../../agent/lease/operator/administer.ts';
import { systemClock } from '../../clock/clock.ts';
import { cidr } from '../../inet/cidr.ts';
import { readBootId } from '../../kernel/boot.ts';
import { World } from '../simulation/world.ts';
import {
  foldersOf,
  peersWhen,
  scratch,
  startAgent,
  statusWhen,
  type TestAgent,
} from '../unit/lease/builders.ts';
import { type Proxy as Network, startProxy } from './proxy.ts';
import { type Cleanup, type Etcd, startEtcd } from './server.ts';

/** WEFT_SEED begins elsewhere, WEFT_HISTORIES makes more. */
const firstSeed = Number(process.env.WEFT_SEED ?? 1);
const histories = Number(process.env.WEFT_HISTORIES ?? 2);
const steps = 12;
const never = new AbortController().signal;
const timing = { renewSeconds: 1, ttlSeconds: 5, graceSeconds: 1, cooldownSeconds: 3 };
// Few subnets, so that they meet.
const networks = [{ cidr: cidr('10.244.0.0/21'), subnetLength: 24 }];

/** A node behind a network of its own, with a disk that outlives its agent. */
class TestNode {
  readonly name: string;
  readonly proxy: Network;
  /** The agent of now, or of last. */
  holder: LeaseHolder | undefined;
  /** By hand: it joins again when its agent is started again. */
  toldToLeave = false;
  readonly #t: Cleanup;
  readonly #etcd: Etcd;
  readonly #home: string;
  readonly #address: string;
  #starting: Promise<TestAgent> | undefined;

  constructor(options: { t: Cleanup; etcd: Etcd; home: string; n: number; proxy: Network }) {
    const { t, etcd, home, n, proxy } = options;
    this.name = `node-${n}`;
    this.proxy = proxy;
    this.#t = t;
    this.#etcd = etcd;
    this.#home = home;
    this.#address = `192.168.188.${100 + n}`;
  }

  start(): Promise<TestAgent> {
    this.#starting ??= startAgent(this.#t, {
      store: this.#etcd.open({ endpoints: [{ secure: false, host: '127.0.0.1', port: this.proxy.port }] }),
      home: this.#home,
      name: this.name,
      publicIp: this.#address,
      timing,
      networks,
    }).then((agent) => {
      this.holder = agent.holder;
      return agent;
    });
    return this.#starting;
  }

  /** Ends the agent once it has come up, and starts it again from the same disk. */
  async startAgain(): Promise<void> {
    const agent = await this.start();
    await agent.stop();
    this.toldToLeave = false;
    this.#starting = undefined;
    await this.start();
  }

  /** The subnet by which pods would be made now: what was claimed stands on the disk, the agent running or not. */
  get claimed(): string | undefined {
    const file = readLeaseFile(this.#folders.runDir, readBootId());
    return file.kind === 'read' && file.deadlineMs > systemClock.now() ? file.key : undefined;
  }

  /** `weftctl node leave`, which has a way to etcd of its own. Resolves whether or not it is answered. */
  async leave(): Promise<void> {
    const { cooldownSeconds } = timing;
    const renounce = () => renounceSaved(this.#folders);
    const run = readRun(this.#folders.runDir, readBootId());
    const nodeId = `id-of-${this.name}`;
    const store = this.#etcd.open();
    await leaveCluster({ store, nodeId, run, renounce, cooldownSeconds, signal: never }).catch(
      () => undefined,
    );
    // An agent that was started again meanwhile has left as well.
    this.toldToLeave = true;
  }

  get #folders() {
    return foldersOf(this.#home, this.name);
  }

  release(): void {
    // Unanswered, it goes on in the background, or is refused because there is nothing to give back.
    this.holder?.release(never).catch(() => undefined);
  }
}

/** I1 on this machine's one clock. */
function overlap(nodes: readonly TestNode[]): string | undefined {
  const claims = nodes.flatMap(({ name, claimed }) =>
    claimed === undefined ? [] : [{ name, key: claimed }],
  );
  const found = claims.find(({ key }, n) => claims.some((other, m) => m < n && other.key === key));
  return found && claims.map(({ name, key }) => `${name} ${key}`).join(', ');
}

async function live(t: Cleanup, seed: number): Promise<readonly string[]> {
  const chance = new World(seed);
  const etcd = await startEtcd(t, { members: 3 });
  const home = scratch(t);
  const nodes = await Promise.all(
    [1, 2, 3, 4].map(async (n) => {
      const proxy = await startProxy(t, etcd.members[n % 3]?.port ?? 0);
      return new TestNode({ t, etcd, home, n, proxy });
    }),
  );
  await Promise.all(nodes.map((node) => node.start()));
  const broken: string[] = [];
  const watcher = setInterval(() => broken.push(...[overlap(nodes) ?? []].flat()), 20);
  const underWay: Promise<void>[] = [];
  const trace: string[] = [];
  const anyNode = () => chance.pick(nodes);
  const anyMember = () => chance.pick(etcd.members);
  const faults: readonly (readonly [string, () => string | undefined])[] = [
    ['cut', () => named(anyNode(), (node) => node.proxy.cut())],
    ['stall', () => named(anyNode(), (node) => node.proxy.stall())],
    ['mend', () => named(anyNode(), (node) => node.proxy.mend())],
    ['start again', () => named(anyNode(), (node) => underWay.push(node.startAgain()))],
    ['release', () => named(anyNode(), (node) => node.release())],
    ['leave by hand', () => named(anyNode(), (node) => underWay.push(node.leave()))],
    ['stop member', () => named(anyMember(), (member) => member.kill('SIGSTOP'))],
    ['continue member', () => named(anyMember(), (member) => member.kill('SIGCONT'))],
    ['kill member', () => named(anyMember(), (member) => member.kill('SIGKILL'))],
    ['compact', () => void compact(etcd).catch(() => undefined)],
  ];
  for (let step = 0; step < steps; step++) {
    const [what, act] = chance.pick(faults) ?? ['', () => undefined];
    trace.push(`${what} ${act() ?? ''}`);
    await pause(chance.between(100, 2000));
  }
  for (const member of etcd.members) {
    member.kill('SIGCONT');
    await member.restart();
  }
  for (const { proxy } of nodes) proxy.mend();
  await Promise.all(underWay);
  // Whoever has given its subnet back joins again when its agent is started again.
  for (const node of nodes) {
    await node.start();
    if (node.toldToLeave || node.holder?.status.phase === 'left') await node.startAgain();
  }
  for (const { holder } of nodes) {
    if (!holder) continue;
    if (holder.status.phase !== 'held') await statusWhen(holder, ({ phase }) => phase === 'held');
    await peersWhen(holder, ({ leases, complete }) => complete && leases.size === nodes.length - 1);
  }
  clearInterval(watcher);
  assert.deepEqual(broken, [], trace.join('; '));
  return trace;
}

function named<T extends { readonly name: string }>(
  one: T | undefined,
  act: (one: T) => void,
): string | undefined {
  if (one) act(one);
  return one?.name;
}

/** Fails where the members are gone, or there is nothing new to compact: then history goes on without. */
async function compact(etcd: Etcd): Promise<void> {
  const store = etcd.open();
  const { cursor } = await store.list(never);
  const endpoints = etcd.members.map(({ port }) => `http://127.0.0.1:${port}`).join();
  const env = { ...process.env, ETCDCTL_API: '3' };
  const child = spawn('etcdctl', ['--endpoints', endpoints, 'compact', cursor], { stdio: 'ignore', env });
  await once(child, 'close');
}

for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
  test(`no two nodes hold one subnet, and all come back, whatever happens: WEFT_SEED=${seed}`, {
    timeout: 300_000,
  }, async (t) => {
    for (const step of await live(t, seed)) t.diagnostic(step);
  });
}
