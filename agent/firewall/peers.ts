/**
 * The tunnel's peers in their sets: the difference between who they are and who the kernel takes them for. There may
 * be thousands, so the sets are read once, and from then on known from notifications.
 */

import { type Ip, ipOfBytes, keyOfIp } from '../../inet/ip.ts';
import { KernelError } from '../../kernel/errors.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { addMany, keysOfSet, nameOfElement, removeMany } from '../../kernel/nft/element.ts';
import { eachKey } from '../../kernel/nft/element-codec.ts';
import { type Nfnl, transactInTurn } from '../../kernel/nft/nfnetlink.ts';
import type { NftEvent } from '../../kernel/nft/notification.ts';
import type { SetElement } from '../../kernel/nft/set.ts';
import type { Tunnel } from './desired.ts';
import { peerElements, peerSets } from './tunnel.ts';

export interface PeersPlan {
  readonly missing: readonly SetElement[];
  readonly stray: readonly SetElement[];
}

export class PeerSets {
  readonly #nfnl: Nfnl;
  /** Keys of the elements that are there, of all families together; undefined: to be read. */
  #present: Set<string> | undefined;
  /** Whether changes by others are told to `observe`. */
  #told = false;
  /** Keys of those who were last asked for. */
  #wanted: { readonly peers: Tunnel['peers']; readonly keys: ReadonlyMap<string, Ip> } = {
    peers: undefined,
    keys: new Map(),
  };

  constructor(nfnl: Nfnl) {
    this.#nfnl = nfnl;
  }

  /** From here on every change is told to `observe`; before, the sets are read each time. */
  relyOnNotifications(): void {
    this.#told = true;
    this.#present = undefined;
  }

  /** What is known of the sets may be wrong. */
  invalidate(): void {
    this.#present = undefined;
  }

  /** A notification. Answers whether the sets are not what they should be any more. */
  observe(message: NetlinkMessage, event: NftEvent): boolean {
    const set = peerSets.find(({ name, family }) => name === event.name && family === event.family);
    if (!set) return false;
    let wrong = false;
    eachKey(message.body, (key) => {
      if (event.gone) this.#present?.delete(key);
      else this.#present?.add(key);
      wrong ||= this.#wanted.peers !== undefined && this.#wanted.keys.has(key) === event.gone;
    });
    return wrong;
  }

  /** What differs. Nothing where the peers are not known. */
  plan(peers: Tunnel['peers']): PeersPlan {
    if (peers !== this.#wanted.peers) {
      this.#wanted = { peers, keys: new Map((peers ?? []).map((peer) => [keyOfIp(peer), peer])) };
    }
    if (!peers) return { missing: [], stray: [] };
    const { keys } = this.#wanted;
    const present = this.#read();
    const missing: Ip[] = [];
    for (const [key, peer] of keys) if (!present.has(key)) missing.push(peer);
    const stray: Ip[] = [];
    if (present.size > keys.size - missing.length) {
      for (const key of present) if (!keys.has(key)) stray.push(ipOfBytes(Buffer.from(key, 'latin1')));
    }
    return { missing: peerElements(missing), stray: peerElements(stray) };
  }

  /** Makes it so. Should what was known of the sets turn out to be wrong, they are read and it is tried once more. */
  ensure(peers: Tunnel['peers'], most = Number.POSITIVE_INFINITY): PeersPlan {
    const known = this.#present !== undefined;
    const { missing, stray } = this.plan(peers);
    const plan = { missing: missing.slice(0, most), stray: stray.slice(0, most) };
    try {
      transactInTurn(this.#nfnl, [...addMany(plan.missing), ...removeMany(plan.stray)]);
    } catch (error) {
      if (!known || !(error instanceof KernelError)) throw error;
      this.#present = undefined;
      return this.ensure(peers, most);
    }
    for (const { key } of plan.missing) this.#present?.add(keyOfIp(key[0] as Ip));
    for (const { key } of plan.stray) this.#present?.delete(keyOfIp(key[0] as Ip));
    return plan;
  }

  #read(): ReadonlySet<string> {
    if (this.#present) return this.#present;
    const present = new Set<string>();
    for (const set of peerSets) for (const key of keysOfSet(this.#nfnl, set) ?? []) present.add(key);
    if (this.#told) this.#present = present;
    return present;
  }
}

/** So many are told one by one. */
const TOLD = 20;

export function describePeers({ missing, stray }: PeersPlan): string[] {
  const all = [
    ...missing.map((element) => ['add', element] as const),
    ...stray.map((element) => ['remove', element] as const),
  ];
  const told = all.slice(0, TOLD).map(([verb, element]) => `${verb} ${nameOfElement(element)}`);
  return all.length > TOLD ? [...told, `${all.length - TOLD} more peers of the tunnel's guard`] : told;
}
