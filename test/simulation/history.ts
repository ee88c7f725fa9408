/** One short life of a cluster under a seed: joins, faults, hands; and what must hold after every step. */

import { LeaseError, StoreError } from '../../agent/lease/errors.ts';
import { decodeValue } from '../../agent/lease/flannel/value.ts';
import type { LeaseNetwork, Peers } from '../../agent/lease/lease.ts';
import { forgetNode, leaveCluster } from '../../agent/lease/operator/administer.ts';
import { silentAfterRenewals } from '../../agent/lease/protocol/probe.ts';
import type { LeaseStore } from '../../agent/lease/store/store.ts';
import { claimsFolder, decodeNode, nodesFolder } from '../../agent/lease/view/node-record.ts';
import { cidr, overlaps } from '../../inet/cidr.ts';
import { formatIp, ip, sameIp } from '../../inet/ip.ts';
import { SimStore } from './network.ts';
import { Server, type WriteNote } from './server.ts';
import { SimNode } from './sim-node.ts';
import { World } from './world.ts';

const timing = { ttlSeconds: 15, renewSeconds: 5, graceSeconds: 2, cooldownSeconds: 6, relistSeconds: 40 };
const { cooldownSeconds } = timing;
/** Who writes by hand. */
const operator = 'operator';
const faultsUntilMs = 20_000;
/** Long enough for leases to end, doubts to be settled and everybody to find out. */
const calmMs = 40_000;

export class Violation extends Error {
  override readonly name = 'Violation';
}

export class History {
  readonly #world: World;
  readonly #server: Server;
  readonly #nodes: SimNode[] = [];
  readonly #networks: readonly LeaseNetwork[];
  #trouble: number;
  readonly #trace: string[] = [];
  /** Node ids that two machines have: what they do to each other is the operator's doing. */
  readonly #cloned = new Set<string>();
  #made = 0;
  #addresses = 0;
  #violation: Violation | undefined;

  constructor(seed: number) {
    const world = new World(seed);
    this.#world = world;
    this.#server = new Server(world, (note) => this.#judgeWrite(note));
    const v4 = { cidr: cidr(world.chance(0.3) ? '10.244.0.0/22' : '10.244.0.0/20'), subnetLength: 24 };
    const v6 = { cidr: cidr('fd00:10:244::/60'), subnetLength: 64 };
    this.#networks = world.chance(0.2) ? [v4, v6] : [v4];
    this.#trouble = world.pick([0, 0.3, 1, 3]) ?? 0;
  }

  /** What happened, for whoever has to understand a failure. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const count = world.pick([2, 2, 3, 3, 4]) ?? 2;
    for (let n = 1; n <= count; n++) {
      const node = this.#make(`192.168.0.${n}`);
      world.after(world.chance(0.5) ? 0 : world.between(0, 10_000), () =>
        this.#note('start', node, () => node.start()),
      );
    }
    const faults = world.between(0, 8);
    for (let n = 0; n < faults; n++) {
      world.after(world.between(1000, faultsUntilMs), () => this.#fault());
    }
    await world.runUntil(faultsUntilMs);
    this.#heal();
    await world.runUntil(faultsUntilMs + calmMs);
    this.#judgeEnd();
    if (this.#violation) throw this.#violation;
  }

  #make(address: string, id = `n${++this.#made}`): SimNode {
    const node: SimNode = new SimNode({
      world: this.#world,
      server: this.#server,
      id,
      attributes: {
        publicIps: [ip(address)],
        backend: { type: 'vxlan', vni: 1, vtepMac: macOf(id) },
      },
      networks: this.#networks,
      timing,
      trouble: () => this.#trouble,
      onChange: () => this.#judgeClaims(),
      onFault: (of, error) => this.#fail(`${of.id} failed: ${error instanceof Error ? error.stack : error}`),
      onPeers: (of, before, after) => this.#judgePeers(of, before, after),
    });
    this.#nodes.push(node);
    return node;
  }

  #note(what: string, node: SimNode | undefined, act: () => void): void {
    this.#trace.push(`${Math.round(this.#world.now)} ${what} ${node?.id ?? ''}`);
    act();
  }

  #freshAddress(): string {
    return `192.168.1.${++this.#addresses}`;
  }

  #fault(): void {
    const world = this.#world;
    const node = world.pick(this.#nodes);
    if (!node) return;
    const later = (run: () => void, longestMs = 2 * timing.ttlSeconds * 1000): void =>
      world.after(world.between(100, longestMs), run);
    /** Who has given its subnet back claims nothing before. */
    const startAnew = (): void =>
      later(
        () =>
          this.#note('start anew', node, () => {
            node.crash();
            node.start();
          }),
        20_000,
      );
    const faults: readonly (readonly [string, () => void])[] = [
      [
        'crash',
        () => {
          node.crash();
          later(() => this.#note('start', node, () => node.start()), 15_000);
        },
      ],
      [
        'reboot',
        () => {
          node.reboot();
          later(() => this.#note('start', node, () => node.start()), 10_000);
        },
      ],
      [
        'pause',
        () => {
          node.pause();
          later(() => this.#note('resume', node, () => node.resume()));
        },
      ],
      [
        'partition',
        () => {
          node.partitioned = true;
          later(() =>
            this.#note('heal', node, () => {
              node.partitioned = false;
            }),
          );
        },
      ],
      [
        'make again',
        () => {
          node.crash();
          node.destroyed = true;
          this.#nodes.splice(this.#nodes.indexOf(node), 1);
          const next = this.#make(addressOf(node));
          later(() => this.#note('start', next, () => next.start()), 20_000);
          // Of a machine that is gone nobody asks whether it was heard lately.
          if (world.chance(0.3))
            later(() => this.#note('forget by force', node, () => this.#forget(node, true)), 20_000);
        },
      ],
      [
        'clone',
        () => {
          if (this.#cloned.has(node.id)) return;
          this.#cloned.add(node.id);
          this.#make(this.#freshAddress(), node.id).start();
        },
      ],
      ['step the wall clock', () => node.stepWallClock(world.between(-100_000, 100_000))],
      ['compact', () => this.#server.compact()],
      ['change the leader', () => this.#server.changeLeader()],
      ['write garbage', () => this.#garbage()],
      ['delete a record', () => this.#deleteOne()],
      [
        'change the address',
        () => {
          node.changeAddress(ip(this.#freshAddress()));
          void node.keeper?.updateAttributes(node.attributes, never());
        },
      ],
      [
        'release',
        () => {
          node.keeper?.release(never()).catch(() => undefined);
          startAnew();
        },
      ],
      [
        'leave by hand',
        () => {
          const store = this.#handOn(node);
          const { id, run } = node;
          const renounce = () => node.renounce();
          this.#byHand(leaveCluster({ store, nodeId: id, run, renounce, cooldownSeconds, signal: never() }));
          startAnew();
        },
      ],
      [
        'forget by hand',
        () => {
          this.#forget(node, false);
        },
      ],
    ];
    const fault = world.pick(faults);
    if (fault) this.#note(fault[0], node, fault[1]);
  }

  /** The store as an operator reaches it: from a node, or from elsewhere. */
  #handOn(node: SimNode | undefined): LeaseStore {
    return new SimStore({
      world: this.#world,
      server: this.#server,
      host: { deliver: (run) => run(), partitioned: () => node?.partitioned === true },
      writer: operator,
      trouble: () => this.#trouble,
      never: never(),
    });
  }

  #forget(node: SimNode, force: boolean): void {
    const store = this.#handOn(undefined);
    this.#byHand(forgetNode({ store, named: node.id, force, cooldownSeconds, signal: never() }));
  }

  /** What is refused, or not answered, the operator is told. */
  #byHand(act: Promise<unknown>): void {
    act.catch((error: unknown) => {
      if (error instanceof LeaseError || error instanceof StoreError) return;
      this.#fail(`by hand: ${error instanceof Error ? error.stack : error}`);
    });
  }

  #garbage(): void {
    const key = this.#world.pick([
      ...this.#server.records.keys(),
      'subnets/nonsense',
      'subnets/10.9.0.0-24',
      'weft/x',
    ]);
    if (key === undefined || key === 'config' || key.startsWith(nodesFolder) || key.startsWith(claimsFolder))
      return;
    const value = this.#world.pick(['', '{', '[]', '{"PublicIP":"x"}', '{"PublicIP":"192.168.9.9"}']) ?? '';
    const session = this.#server.records.get(key)?.session;
    this.#server.commit({ compare: [], write: [{ type: 'put', key, value, session }] }, undefined);
  }

  #deleteOne(): void {
    const key = this.#world.pick(
      [...this.#server.records.keys()].filter((one) => one.startsWith('subnets/')),
    );
    if (key !== undefined) this.#server.commit({ compare: [], write: [{ type: 'delete', key }] }, undefined);
  }

  #heal(): void {
    this.#trouble = 0;
    for (const node of this.#nodes) {
      node.partitioned = false;
      node.resume();
      if (node.refused !== undefined) node.crash();
      node.start();
    }
  }

  // ---- what must hold

  /** I1: no two live nodes claim overlapping subnets. */
  #judgeClaims(): void {
    for (const a of this.#nodes) {
      const ours = a.claimed;
      if (!ours) continue;
      for (const b of this.#nodes) {
        if (b === a) break;
        const theirs = a.id === b.id ? undefined : b.claimed;
        if (theirs && ours.subnets.some((one) => theirs.subnets.some((other) => overlaps(one, other)))) {
          this.#fail(`I1: ${a.id} and ${b.id} both claim ${ours.key}`);
        }
      }
    }
  }

  /** I2: a record is written under a compare, by its owner, or by who has its address while its owner is silent. */
  #judgeWrite(note: WriteNote): void {
    const { key, before, writer } = note;
    if (!key.startsWith('subnets/') || writer === undefined) return;
    if (!note.compared) this.#fail(`I2: ${writer} wrote ${key} without a compare`);
    if (!before || writer === operator) return;
    const owner = this.#ownerOf(key, before.session);
    if (owner === undefined || owner.id === writer) return;
    const address = decodeValue(before.value);
    // The probe and the write are not one step: in between the holder may have come back, or our address changed.
    const graceSeconds = 12;
    const sameAddress =
      typeof address !== 'string' &&
      this.#nodes.some(
        (node) =>
          node.id === writer &&
          node.addressesWithin(graceSeconds * 1000).some((a) => address.publicIps.some((b) => sameIp(a, b))),
      );
    const renewedMs = this.#server.leases.get(owner.session)?.renewedMs ?? Number.NEGATIVE_INFINITY;
    const silent = (this.#world.now - renewedMs) / 1000;
    if (!sameAddress || silent + graceSeconds < silentAfterRenewals * owner.renewSeconds) {
      this.#fail(`I2: ${writer} wrote ${key} of ${owner.id}, silent for ${silent} s`);
    }
  }

  #ownerOf(key: string, session: string | undefined) {
    for (const record of this.#server.records.values()) {
      if (!record.key.startsWith(nodesFolder) || record.session === undefined) continue;
      const node = decodeNode(record.key.slice(nodesFolder.length), record.value);
      if (
        node?.subnet === key.slice('subnets/'.length) &&
        (session === undefined || session === record.session)
      ) {
        return { ...node, session: record.session };
      }
    }
    return undefined;
  }

  readonly #seenMs = new WeakMap<SimNode, Map<string, number>>();

  /** I3: a peer goes only because its record was deleted, or because it harms us. */
  #judgePeers(node: SimNode, before: Peers, after: Peers): void {
    const seen = this.#seenMs.get(node) ?? new Map<string, number>();
    this.#seenMs.set(node, seen);
    for (const key of after.leases.keys()) if (!seen.has(key)) seen.set(key, this.#world.now);
    for (const key of before.leases.keys()) {
      if (after.leases.has(key)) continue;
      const since = seen.get(key) ?? 0;
      seen.delete(key);
      // A list may show a record some seconds after it was deleted.
      const deleted = (this.#server.deletedMs.get(`subnets/${key}`) ?? -1) >= since - 30_000;
      const harmful =
        after.problems.some((problem) => problem.key === `subnets/${key}`) || node.keeper?.lease.key === key;
      if (!deleted && !harmful) this.#fail(`I3: ${node.id} lost its peer ${key}`);
    }
  }

  /** Once calm, whoever can hold a subnet does, and everybody knows everybody. */
  #judgeEnd(): void {
    this.#judgeClaims();
    const { records } = this.#server;
    for (const node of this.#nodes) {
      if (this.#cloned.has(node.id)) continue;
      const seeking = node.keeper?.status.phase === 'lost' && node.keeper.status.reason === undefined;
      const refused = node.refused ?? (seeking ? node.refusedBefore : undefined);
      if (refused !== undefined) {
        const code = refused instanceof LeaseError ? refused.code : String(refused);
        if (code === 'network-full' || code === 'public-ip-taken') continue;
        this.#fail(`${node.id} was refused: ${refused}`);
        continue;
      }
      const { keeper } = node;
      if (!keeper) {
        this.#fail(`${node.id} does not run`);
        continue;
      }
      const { phase, reason } = keeper.status;
      if (phase === 'left') continue;
      if (phase !== 'held') {
        if (/is held by|overlapped|another/.test(reason ?? '')) continue;
        this.#fail(`${node.id} is ${phase}: ${reason}`);
        continue;
      }
      const record = records.get(`subnets/${keeper.lease.key}`);
      if (!record) this.#fail(`${node.id} holds ${keeper.lease.key}, of which there is no record`);
      for (const peer of this.#nodes) {
        if (peer === node || peer.keeper?.status.phase !== 'held' || peer.refused !== undefined) continue;
        if (this.#cloned.has(peer.id)) continue;
        if (!keeper.peers.leases.has(peer.keeper.lease.key)) {
          this.#fail(
            `${node.id} does not know ${peer.id} (${peer.keeper.lease.key}): ${JSON.stringify(keeper.peers.problems)}`,
          );
        }
      }
    }
  }

  /** Noted, not thrown: the code under test would catch it. */
  #fail(text: string): void {
    this.#violation ??= new Violation(`at ${Math.round(this.#world.now)} ms: ${text}`);
  }
}

const never = (): AbortSignal => new AbortController().signal;

/** A clone has the MAC of the machine that it was cloned from. */
const macOf = (id: string): string => `0e:00:00:00:00:${Number(id.slice(1)).toString(16).padStart(2, '0')}`;

const addressOf = (node: SimNode): string => {
  const [first] = node.attributes.publicIps;
  return first ? formatIp(first) : '192.168.3.1';
};
