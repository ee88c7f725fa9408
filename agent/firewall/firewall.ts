/** Keeps the host's firewall what the overlay and the pods need: state → plan → apply, from whatever state it is in. */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { NftError } from '../../kernel/nft/errors.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { nftEventOf } from '../../kernel/nft/notification.ts';
import { difference, type Part } from '../../kernel/nft/part.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import { readTable, type Table } from '../../kernel/nft/state.ts';
import { bridgeTable, inetTable } from '../../plugin/attach/table.ts';
import { earliest } from '../reconcile/part.ts';
import type { DesiredFirewall, Tunnel } from './desired.ts';
import { chainsOf, type ForeignChain, planForeign } from './foreign.ts';
import { type DesiredTable, KeptTable } from './kept-table.ts';
import { ensureLegacy, planLegacyRules } from './legacy/legacy.ts';
import { masqueradePart } from './masquerade.ts';
import type { FirewallPass } from './pass.ts';
import { passagePart } from './passage.ts';
import { passagesOf } from './passages.ts';
import { describePeers, PeerSets } from './peers.ts';
import { hasOtherBridge, PodElements, podParts } from './pods.ts';
import { surveyForeign } from './survey.ts';
import { peerElements, tunnelPart } from './tunnel.ts';
import { foreignDamage } from './watched.ts';

export class Firewall {
  readonly #nfnl: Nfnl;
  readonly #inet: KeptTable;
  readonly #bridge: KeptTable;
  readonly #pods: PodElements;
  readonly #peers: PeerSets;
  /** Other firewalls' chains that packets of ours have to pass; undefined before the first pass. */
  #chains: ReadonlySet<string> | undefined;

  /** Bridges whose pods other firewalls let through; undefined before the first pass that knows the pods. */
  #bridges: ReadonlySet<string> | undefined;

  /** `nfnl`: a socket of the host's namespace; `ensure` and `plan` have to be called in the same. */
  constructor(nfnl: Nfnl, now: () => number = () => performance.now()) {
    this.#nfnl = nfnl;
    this.#inet = new KeptTable(nfnl, inetTable);
    this.#bridge = new KeptTable(nfnl, bridgeTable);
    this.#pods = new PodElements(nfnl, now);
    this.#peers = new PeerSets(nfnl);
  }

  /** From here on every change is told to `observe`. */
  relyOnNotifications(): void {
    this.#peers.relyOnNotifications();
  }

  /** Changes were not told: nothing that is remembered may be relied on. */
  invalidate(): void {
    this.#peers.invalidate();
  }

  /** A notification. Answers why it makes a pass necessary, in a word or two; undefined where it does not. */
  observe(message: NetlinkMessage): string | undefined {
    const event = nftEventOf(message);
    if (!event) return undefined;
    if (event.table !== inetTable.table) return this.#chains && foreignDamage(event, this.#chains);
    if (event.what === 'elements') {
      if (this.#peers.observe(message, event)) return 'tunnel guard changed';
      const isNew = !event.gone && this.#bridges && hasOtherBridge(event.name, message, this.#bridges);
      return isNew ? 'pods on a new bridge' : undefined;
    }
    // With a table or a set its elements go, and nothing is said of them.
    if (event.what === 'table' || event.what === 'set') this.#peers.invalidate();
    return this.#chains && `firewall ${event.what} ${event.gone ? 'gone' : 'changed'}`;
  }

  /**
   * Makes the firewall what is desired. A few reads where nothing differs; otherwise one transaction for each
   * of our tables, one for what is in sets, and one for each chain of others.
   *
   * @throws NftError, KernelError where our own tables cannot be had.
   */
  ensure(desired: DesiredFirewall): FirewallPass {
    const crowd = this.#isCrowd(desired);
    const tables = [
      ...this.#inet.ensure(this.#inetOf(desired, crowd)),
      ...this.#bridge.ensure(bridgeOf(desired)),
    ];
    if (tables.length) this.#peers.invalidate();
    const peers = this.#peers.ensure(desired.tunnel?.peers, crowd ? AT_ONCE : undefined);
    const pods = this.#pods.ensure(desired.pods, tables.length > 0);
    this.#bridges = desired.pods && new Set(desired.pods.networks.map(({ bridge }) => bridge));
    const foreign = surveyForeign(this.#nfnl);
    const others = openOthers(desired, foreign);
    const legacy = ensureLegacy(passagesOf(desired));
    this.#chains = new Set(foreign.flatMap(chainsOf));
    return {
      done: [...tables, ...describePeers(peers), ...pods.done, ...others.done, ...legacy.done],
      problems: [...pods.problems, ...others.problems, ...legacy.problems],
      retryInMs: crowd ? 0 : earliest([pods.retryInMs, legacy.retryInMs]),
    };
  }

  /** Who the tunnel's peers are, where all else is as it was when it was last ensured; returns what was changed. */
  ensurePeers(peers: Tunnel['peers']): string[] {
    return describePeers(this.#peers.ensure(peers));
  }

  /** What `ensure` would do but for pods' elements, in words, doing nothing. */
  plan(desired: DesiredFirewall): string[] {
    const foreign = planForeign(passagesOf(desired), surveyForeign(this.#nfnl));
    return [
      ...(this.#inet.plan(this.#inetOf(desired, false))?.reasons ?? []),
      ...(this.#bridge.plan(bridgeOf(desired))?.reasons ?? []),
      ...describePeers(this.#peers.plan(desired.tunnel?.peers)),
      ...[...foreign.values()].flatMap(({ reasons }) => reasons),
      ...planLegacyRules(passagesOf(desired)),
    ];
  }

  /**
   * So many peers are missing that their set is filled in several passes, before anything is guarded by it: to do it
   * at once would keep pods waiting. A guard that stands already is given them at once: it drops who is missing.
   */
  #isCrowd({ tunnel }: DesiredFirewall): boolean {
    if (!tunnel?.peers || this.#peers.plan(tunnel.peers).missing.length <= AT_ONCE) return false;
    return !isGuarded(tunnel, readTable(this.#nfnl, inetTable));
  }

  #inetOf(desired: DesiredFirewall, crowd: boolean): DesiredTable {
    const tunnel = crowd && desired.tunnel ? { ...desired.tunnel, peers: undefined } : desired.tunnel;
    return {
      parts: (actual) => [
        passagePart({ ...desired, tunnel }),
        ...overlayParts({ ...desired, tunnel }, actual),
        ...podParts(desired.pods, inetTable, actual),
      ],
      elements: () => peerElements(tunnel?.peers ?? []),
    };
  }
}

/** Elements that are added before others have their turn (2 ms). */
const AT_ONCE = 400;

/** Rules of ours in other firewalls; one that refuses is a problem, and the next is asked all the same. */
function openOthers(desired: DesiredFirewall, foreign: readonly ForeignChain[]): FirewallPass {
  const done: string[] = [];
  const problems: string[] = [];
  for (const [chain, { commands, reasons }] of planForeign(passagesOf(desired), foreign)) {
    try {
      applyRules(commands);
      done.push(...reasons);
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      problems.push(`failed to let pods' packets through the firewall chain ${chain}: ${error.message}`);
    }
  }
  return { done, problems };
}

const bridgeOf = (desired: DesiredFirewall): DesiredTable => ({
  parts: (actual) => podParts(desired.pods, bridgeTable, actual),
  elements: () => [],
});

/** While the peers are not known, a guard that stands is left standing. */
function overlayParts({ networks, masquerade, tunnel }: DesiredFirewall, table: Table | undefined): Part[] {
  const parts = masquerade ? [masqueradePart(networks, masquerade.except)] : [];
  if (!tunnel) return parts;
  const keep = tunnel.peers !== undefined || isGuarded(tunnel, table);
  return [...parts, tunnelPart(keep ? { ...tunnel, peers: tunnel.peers ?? [] } : tunnel)];
}

const isGuarded = (tunnel: Tunnel, table: Table | undefined): boolean =>
  difference(tunnelPart({ ...tunnel, peers: tunnel.peers ?? [] }), table) === undefined;
