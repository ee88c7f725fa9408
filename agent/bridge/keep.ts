/**
 * Keeps the bridges that pods hang on as the plugin made them: there, up, with the gateways' addresses, the MAC
 * that pods know, and the pods' interfaces on them. A pod that is made does this too; those that run cannot.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { formatInterfaceAddress, type InterfaceAddress, nthIp } from '../../inet/cidr.ts';
import { formatIp, linkLocalIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import { failedWith } from '../../kernel/errors.ts';
import * as link from '../../kernel/link.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { AF_BRIDGE, RTM_DELLINK, RTM_NEWLINK, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { ensureSysctl } from '../../kernel/sysctl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { bridgeMac } from '../../plugin/attach/names.ts';
import { readAttachments } from '../../plugin/attach/record.ts';
import { readBootId } from '../../plugin/ipam/boot.ts';
import { reasonOf } from '../errors.ts';
import type { Damage } from '../overlay/damage.ts';
import type { OverlayState } from '../overlay/overlay.ts';
import type { Pass, PassPart } from '../overlay/service.ts';
import { type BridgeWish, bridgeWishes, sameInterfaceAddress } from './wish.ts';

/** A bridge as it was when it was last right. */
interface Kept {
  readonly index: number;
  readonly mac: string | undefined;
}

export class KeptBridges {
  readonly #rtnl: Rtnl;
  readonly #runDir: string;
  readonly #bootId = readBootId();
  readonly #kept = new Map<string, Kept>();
  /** Addresses that were seen on a bridge, as `name address/length`. */
  readonly #seen = new Set<string>();
  #records: { readonly mtimeMs: number; readonly attachments: readonly Attachment[] } | undefined;

  constructor(options: { readonly rtnl: Rtnl; readonly runDir: string }) {
    this.#rtnl = options.rtnl;
    this.#runDir = options.runDir;
  }

  /** Why a notification makes a pass necessary: a bridge that is gone, down, or has another MAC. */
  observe(message: NetlinkMessage): Damage | undefined {
    if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return undefined;
    if (message.body[0] === AF_BRIDGE) return undefined;
    const index = message.body.readInt32LE(4);
    for (const kept of this.#kept.values()) {
      if (kept.index !== index) continue;
      const { up, mac } = link.linkStateOf(message.body);
      const wrong = message.type === RTM_DELLINK || !up || mac !== kept.mac;
      return wrong ? { reason: 'bridge link' } : undefined;
    }
    // A bridge that is new to us is looked at once, so that its MAC is known before somebody changes it.
    return message.type === RTM_NEWLINK && link.linkStateOf(message.body).kind === 'bridge'
      ? { reason: 'bridge' }
      : undefined;
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
      const attachments = this.#attachments();
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
    const mac = this.#kept.get(name)?.mac ?? bridge.mac;
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
    const mac = this.#kept.get(name)?.mac ?? bridgeMac(name, gateways);
    const [refusal] = this.#rtnl.attempt([link.bridge({ name, mac })]);
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

  /** The records of this boot, read again only when there are others or one was not complete. */
  #attachments(): readonly Attachment[] {
    const mtimeMs = statSync(join(this.#runDir, 'attachments'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const known = this.#records;
    if (known?.mtimeMs === mtimeMs && known.attachments.every(({ phase }) => phase === 'complete')) {
      return known.attachments;
    }
    const attachments = readAttachments(this.#runDir).filter(({ bootId }) => bootId === this.#bootId);
    this.#records = { mtimeMs, attachments };
    return attachments;
  }

  /** A bridge without pods is nobody's. */
  #forget(attachments: readonly Attachment[]): void {
    const used = new Set(attachments.map(({ bridge }) => bridge));
    for (const name of this.#kept.keys()) {
      if (used.has(name)) continue;
      this.#kept.delete(name);
      for (const seen of this.#seen) if (seen.startsWith(`${name} `)) this.#seen.delete(seen);
    }
  }
}
