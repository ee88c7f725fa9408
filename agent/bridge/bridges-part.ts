/**
 * The pods' bridges as a part of the host's reconciler, kept as the plugin made them: up, with the gateways' addresses,
 * the MAC that pods have in their caches, and the pods' interfaces on them. An ADD ensures the same for its own pod.
 */
import { formatInterfaceAddress, type InterfaceAddress } from '../../inet/cidr.ts';
import { formatIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { failedWith } from '../../kernel/errors.ts';
import { heldMacs } from '../../kernel/fdb.ts';
import * as link from '../../kernel/link.ts';
import { linkNameOf, linkStateOf } from '../../kernel/link-message.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { AF_BRIDGE, RTM_DELLINK, RTM_NEWLINK, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { createBridge } from '../../plugin/attach/bridge.ts';
import { BRIDGE_ALIAS, bridgeMac } from '../../plugin/attach/names.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { HostState } from '../overlay/state.ts';
import type { Part, PartOutcome, PartPlan, Pass } from '../reconcile/part.ts';
import type { Trigger } from '../reconcile/trigger.ts';
import type { PodRecords } from '../records.ts';
import { bridgeNamed } from './bridge-named.ts';
import { planBridge } from './plan.ts';
import { previewBridges } from './preview.ts';
import { type BridgeWish, bridgeWishes, ownGateways } from './wish.ts';

/** What was notified of a bridge. */
interface Met {
  readonly index: number;
  /** The MAC when the first pods resolved it, or before. */
  readonly mac: string | undefined;
  /** As last notified, like the rest. */
  readonly lastMac: string | undefined;
  readonly up: boolean;
}

/** A bridge as it was when it was last right. */
interface Kept {
  readonly index: number;
  readonly mac: string | undefined;
  /** weft created or adopted it; any other is the operator's. */
  readonly own: boolean;
}

/** After a bridge that failed. */
const RETRY_MS = 1000;

export class BridgesPart implements Part<HostState> {
  readonly name = 'bridges';
  readonly #rtnl: Rtnl;
  readonly #records: PodRecords;
  readonly #kept = new Map<string, Kept>();
  /** Addresses that were seen on a bridge, as `name address/length`. */
  readonly #seen = new Set<string>();
  /** By name, what was notified of bridges: those that pods do not need among them. */
  readonly #met = new Map<string, Met>();

  constructor(options: { readonly rtnl: Rtnl; readonly records: PodRecords }) {
    this.#rtnl = options.rtnl;
    this.#records = options.records;
  }

  /**
   * Why a notification makes a pass necessary: a bridge that is gone, down, or has another MAC. One that is made or
   * comes up does not, for that is what each first pod brings with it: its MAC is noted before somebody changes it.
   */
  observe(message: NetlinkMessage): Trigger | undefined {
    if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return undefined;
    if (message.body[0] === AF_BRIDGE) return undefined;
    const index = message.body.readInt32LE(4);
    const gone = message.type === RTM_DELLINK;
    const { up, mac, kind } = linkStateOf(message.body);
    const name = kind === 'bridge' ? linkNameOf(message.body) : this.#nameOf(index);
    if (name === undefined) return undefined;
    const before = this.#met.get(name);
    const kept = this.#kept.get(name);
    this.#met.set(name, { index, mac: before ? before.mac : mac, lastMac: mac, up: up && !gone });
    const had = kept ? kept.mac : before?.lastMac;
    const wrong = gone || (before?.up !== false && !up) || mac !== had;
    return (before || kept) && wrong ? { reason: 'bridge link' } : undefined;
  }

  /** A bridge that goes does not say any more that it is one. */
  #nameOf(index: number): string | undefined {
    for (const [name, known] of [...this.#kept, ...this.#met]) if (known.index === index) return name;
    return undefined;
  }

  plan(host: HostState): PartPlan {
    return previewBridges(this.#rtnl, this.#records.attachments, host.families);
  }

  /** One bridge that fails does not keep the others from being reconciled. */
  reconcile(host: HostState, pass: Pass): PartOutcome {
    const done: string[] = [];
    const problems: string[] = [];
    const isOwn = ownGateways(host.families);
    const belongs = (bridge: string, candidate: InterfaceAddress) =>
      isOwn(candidate) || this.#seen.has(`${bridge} ${formatInterfaceAddress(candidate)}`);
    const { attachments } = this.#records;
    this.#forget(attachments);
    for (const wish of bridgeWishes(attachments, belongs)) {
      try {
        const leased = wish.addresses.some(isOwn);
        done.push(...this.#ensure(wish, { leased, whole: pass.reread }));
      } catch (error) {
        problems.push(`bridge ${wish.name}: ${reasonOf(error)}`);
      }
    }
    return { done, problems, retryInMs: problems.length ? RETRY_MS : undefined };
  }

  /** `leased`: pods of this node's lease are on it. Of an operator's bridge only addresses, ports and *up* are kept. */
  #ensure(wish: BridgeWish, { leased, whole }: { leased: boolean; whole: boolean }): string[] {
    const { name } = wish;
    const found = bridgeNamed(this.#rtnl, name);
    if (!found && this.#kept.get(name)?.own === false) {
      throw new Error('removed, and not created by weft: create it again, then its pods are put on it');
    }
    const done: string[] = [];
    const bridge = found ?? this.#create(wish, done);
    const own = leased || bridge.alias === BRIDGE_ALIAS;
    if (own && bridge.alias !== BRIDGE_ALIAS) {
      this.#rtnl.execute([link.set({ index: bridge.index, alias: BRIDGE_ALIAS })]);
      done.push(`${name}: alias ${BRIDGE_ALIAS}`);
    }
    // No other host has its link-local address, and during duplicate detection it could not resolve any pod (IPv6).
    if (own) ensureSysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
    const mac = (own ? this.#knownMac(name) : undefined) ?? bridge.mac;
    const addresses = address.addresses(this.#rtnl, { index: bridge.index });
    const links = !found || whole ? link.links(this.#rtnl) : undefined;
    const held = links && heldMacs(this.#rtnl, bridge.index);
    const steps = planBridge(wish, mac, { bridge, addresses, links, held });
    for (const refusal of this.#rtnl.attempt(steps.flatMap(({ requests }) => requests))) {
      if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
    }
    for (const each of [...addresses, ...wish.addresses]) {
      this.#seen.add(`${name} ${formatInterfaceAddress(each)}`);
    }
    done.push(...steps.map(({ text }) => text));
    const before = own ? ensureSysctl(`net/ipv6/conf/${name}/accept_ra`, '0') : undefined;
    if (before !== undefined) done.push(`${name}: accept_ra: ${before} -> 0`);
    this.#kept.set(name, { index: bridge.index, mac, own });
    return done;
  }

  /** The MAC that pods have resolved. */
  #knownMac(name: string): string | undefined {
    return this.#kept.get(name)?.mac ?? this.#met.get(name)?.mac;
  }

  #create({ name, addresses }: BridgeWish, done: string[]): link.Link {
    const gateways = addresses.map((gateway) => formatIp(gateway.address));
    const mac = this.#knownMac(name) ?? bridgeMac(name, gateways);
    const made = createBridge(this.#rtnl, { name, mac });
    if (!made) throw new Error(`bridge ${name} vanished while it was being made`);
    done.push(`${name}: create`);
    return made;
  }

  /** Forgets bridges without pods. */
  #forget(attachments: readonly Attachment[]): void {
    const used = new Set(attachments.map(({ bridge }) => bridge));
    for (const [name, met] of this.#met) {
      if (used.has(name)) continue;
      // Without pods, no cache holds an earlier MAC: the present one counts.
      if (met.up) this.#met.set(name, { ...met, mac: met.lastMac });
      else this.#met.delete(name);
    }
    for (const name of this.#kept.keys()) {
      if (used.has(name)) continue;
      this.#kept.delete(name);
      for (const seen of this.#seen) if (seen.startsWith(`${name} `)) this.#seen.delete(seen);
    }
  }
}
