/**
 * Keeps the bridges that pods hang on as the plugin made them: there, up, with the gateways' addresses, the MAC
 * that pods know, and the pods' interfaces on them. A pod that is made does this too; those that run cannot.
 */
import {
  formatInterfaceAddress,
  type InterfaceAddress,
  nthIp,
  sameInterfaceAddress,
} from '../../inet/cidr.ts';
import { formatIp, linkLocalIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import { linkNameOf, linkStateOf } from '../../kernel/link-message.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { AF_BRIDGE, RTM_DELLINK, RTM_NEWLINK, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as newLink from '../../kernel/new-link.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { bridgeMac } from '../../plugin/attach/names.ts';
import { reasonOf } from '../errors.ts';
import type { Damage } from '../overlay/damage.ts';
import type { Pass, PassPart } from '../overlay/service.ts';
import type { OverlayState } from '../overlay/state.ts';
import type { PodRecords } from '../records.ts';
import { type BridgeWish, bridgeWishes } from './wish.ts';

/** What was notified of a bridge. */
interface Met {
  readonly index: number;
  /** As it was when pods began to know it, or before. */
  readonly mac: string | undefined;
  /** As last notified, like the rest. */
  readonly lastMac: string | undefined;
  readonly up: boolean;
}

/** A bridge as it was when it was last right. */
interface Kept {
  readonly index: number;
  readonly mac: string | undefined;
}

export class KeptBridges {
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
  observe(message: NetlinkMessage): Damage | undefined {
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

  /** Makes them what the pods on record need. What cannot be had is told. */
  ensure(states: readonly OverlayState[], pass: Pick<Pass, 'whole'>): PassPart {
    const done: string[] = [];
    const problems: string[] = [];
    const own = states.map(({ subnet }) => ({ address: nthIp(subnet, 1), length: subnet.length }));
    const belongs = (bridge: string, candidate: InterfaceAddress) =>
      own.some((gateway) => sameInterfaceAddress(gateway, candidate)) ||
      this.#seen.has(`${bridge} ${formatInterfaceAddress(candidate)}`);
    try {
      const { attachments } = this.#records;
      this.#forget(attachments);
      for (const wish of bridgeWishes(attachments, belongs)) done.push(...this.#ensure(wish, pass.whole));
    } catch (error) {
      problems.push(`the pods' bridges are not what they should be: ${reasonOf(error)}`);
    }
    return { done, problems };
  }

  #ensure(wish: BridgeWish, whole: boolean): string[] {
    const { name } = wish;
    const found = link.linkByName(this.#rtnl, name);
    if (found && found.kind !== 'bridge') {
      throw new Error(`${name} is a ${found.kind ?? 'hardware'} link, not a bridge: rename it`);
    }
    const done: string[] = [];
    const bridge = found ?? this.#create(wish, done);
    // Nobody else has its link-local address, and while that is being asked for it can look for no pod (IPv6).
    ensureSysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
    const mac = this.#kept.get(name)?.mac ?? this.#met.get(name)?.mac ?? bridge.mac;
    const change: link.LinkChange = { index: bridge.index };
    if (!bridge.up) {
      change.up = true;
      done.push(`${name}: up`);
    }
    if (mac !== undefined && bridge.mac !== mac) {
      change.mac = mac;
      done.push(`${name}: MAC ${bridge.mac} -> ${mac}`);
    }
    if (Object.keys(change).length > 1) this.#rtnl.execute([link.set(change)]);
    if (change.up && mac !== undefined) this.#hastenLinkLocal(wish, bridge.index, mac);
    done.push(...this.#ensureAddresses(wish, bridge.index));
    if (!found || whole) done.push(...this.#ensurePorts(wish, bridge.index));
    const before = ensureSysctl(`net/ipv6/conf/${name}/accept_ra`, '0');
    if (before !== undefined) done.push(`${name}: accept_ra: ${before} -> 0`);
    this.#kept.set(name, { index: bridge.index, mac });
    return done;
  }

  /**
   * A bridge that comes up gets its link-local address up to a second later (the kernel's linkwatch), and asks for
   * no pod's MAC before (net/ipv6/ndisc.c, ndisc_send_ns).
   */
  #hastenLinkLocal({ addresses }: BridgeWish, index: number, mac: string): void {
    if (!addresses.some((gateway) => gateway.address.family === 'ipv6')) return;
    const own = { address: linkLocalIp(mac), length: 64, index, noDad: true };
    const [refusal] = this.#rtnl.attempt([address.add(own)]);
    if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
  }

  #create({ name, addresses }: BridgeWish, done: string[]): link.Link {
    const gateways = addresses.map((gateway) => formatIp(gateway.address));
    const mac = this.#kept.get(name)?.mac ?? this.#met.get(name)?.mac ?? bridgeMac(name, gateways);
    const [refusal] = this.#rtnl.attempt([newLink.bridge({ name, mac })]);
    if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
    const made = link.linkByName(this.#rtnl, name);
    if (!made) throw new Error(`bridge ${name} vanished while it was being made`);
    done.push(`${name}: made anew`);
    return made;
  }

  #ensureAddresses({ name, addresses }: BridgeWish, index: number): string[] {
    const present = address.addresses(this.#rtnl, { index });
    const done: string[] = [];
    for (const wanted of addresses) {
      const text = formatInterfaceAddress(wanted);
      this.#seen.add(`${name} ${text}`);
      if (present.some((candidate) => sameInterfaceAddress(candidate, wanted))) continue;
      const [refusal] = this.#rtnl.attempt([address.add({ ...wanted, index, noDad: true })]);
      if (refusal && !failedWith(refusal, 'EEXIST')) throw refusal;
      done.push(`${name}: address ${text}`);
    }
    for (const each of present) this.#seen.add(`${name} ${formatInterfaceAddress(each)}`);
    return done;
  }

  /** Pods' interfaces that are there and on no bridge. */
  #ensurePorts({ name, ports }: BridgeWish, index: number): string[] {
    const links = new Map(link.links(this.#rtnl).map((each) => [each.index, each]));
    return ports.flatMap((port) => {
      const found = links.get(port.index);
      if (!found || found.name !== port.name || found.master !== undefined) return [];
      const { hairpin, isolated } = port;
      this.#rtnl.execute([
        link.set({ index: port.index, master: index, up: true }),
        link.setPort({ index: port.index, hairpin, isolated }),
      ]);
      return `${name}: ${port.name} on it`;
    });
  }

  /** A bridge without pods is nobody's. */
  #forget(attachments: readonly Attachment[]): void {
    const used = new Set(attachments.map(({ bridge }) => bridge));
    for (const [name, met] of this.#met) {
      if (used.has(name)) continue;
      // Whatever its MAC is now, no pod knows it by another.
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
