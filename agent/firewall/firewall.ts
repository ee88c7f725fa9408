/** Keeps the host's firewall what the overlay and the pods need: state → plan → apply, from whatever state it is in. */
import { NftError } from '../../kernel/nft/errors.ts';
import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { difference, type Part } from '../../kernel/nft/part.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import type { Table } from '../../kernel/nft/state.ts';
import { bridgeTable, inetTable } from '../../plugin/attach/table.ts';
import type { DesiredFirewall } from './desired.ts';
import { type ForeignChain, nameOf, planForeign } from './foreign.ts';
import { type DesiredTable, KeptTable } from './kept-table.ts';
import { masqueradePart } from './masquerade.ts';
import { passagesOf } from './passages.ts';
import { applyPeers, describePeers, planPeers } from './peers.ts';
import { PodElements, podParts } from './pods.ts';
import { surveyForeign } from './survey.ts';
import { peerElements, tunnelPart } from './tunnel.ts';
import type { Watched } from './watched.ts';

export interface FirewallPass {
  /** What was changed, in words; empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, with the reason. */
  readonly problems: readonly string[];
  /** When it should be looked at again, in milliseconds from now; undefined: when something happens. */
  readonly retryInMs?: number | undefined;
}

export class Firewall {
  readonly #nfnl: Nfnl;
  readonly #inet: KeptTable;
  readonly #bridge: KeptTable;
  readonly #pods: PodElements;
  #watched: Watched | undefined;

  /** `nfnl`: a socket of the host's namespace; `ensure` and `plan` have to be called in the same. */
  constructor(nfnl: Nfnl, now: () => number = () => performance.now()) {
    this.#nfnl = nfnl;
    this.#inet = new KeptTable(nfnl, inetTable);
    this.#bridge = new KeptTable(nfnl, bridgeTable);
    this.#pods = new PodElements(nfnl, now);
  }

  /** What the last pass asked for: what notifications are held against. Undefined before the first. */
  get watched(): Watched | undefined {
    return this.#watched;
  }

  /**
   * Makes the firewall what is desired. A few reads where nothing differs; otherwise one transaction for each
   * of our tables, one for what is in sets, and one for each chain of others.
   *
   * @throws NftError, KernelError where our own tables cannot be had.
   */
  ensure(desired: DesiredFirewall): FirewallPass {
    const tables = [...this.#inet.ensure(inetOf(desired)), ...this.#bridge.ensure(bridgeOf(desired))];
    const peers = planPeers(this.#nfnl, desired.tunnel?.peers);
    applyPeers(this.#nfnl, peers);
    const pods = this.#pods.ensure(desired.pods, tables.length > 0);
    const foreign = surveyForeign(this.#nfnl);
    const others = openOthers(desired, foreign);
    this.#watched = {
      peers: desired.tunnel?.peers,
      chains: new Set(foreign.map(({ chain }) => nameOf(chain))),
    };
    return {
      done: [...tables, ...describePeers(peers), ...pods.done, ...others.done],
      problems: [...pods.problems, ...others.problems],
      retryInMs: pods.retryInMs,
    };
  }

  /** What `ensure` would do but for pods' elements, in words, doing nothing. */
  plan(desired: DesiredFirewall): string[] {
    const foreign = planForeign(passagesOf(desired), surveyForeign(this.#nfnl));
    return [
      ...(this.#inet.plan(inetOf(desired))?.reasons ?? []),
      ...(this.#bridge.plan(bridgeOf(desired))?.reasons ?? []),
      ...describePeers(planPeers(this.#nfnl, desired.tunnel?.peers)),
      ...[...foreign.values()].flatMap(({ reasons }) => reasons),
    ];
  }
}

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
      problems.push(`cannot let the overlay's packets through the firewall chain ${chain}: ${error.message}`);
    }
  }
  return { done, problems };
}

const inetOf = (desired: DesiredFirewall): DesiredTable => ({
  parts: (actual) => [...overlayParts(desired, actual), ...podParts(desired.pods, inetTable, actual)],
  elements: peerElements(desired.tunnel?.peers ?? []),
});

const bridgeOf = (desired: DesiredFirewall): DesiredTable => ({
  parts: (actual) => podParts(desired.pods, bridgeTable, actual),
  elements: [],
});

/** While the peers are not known, a guard that stands is left standing. */
function overlayParts({ networks, masquerade, tunnel }: DesiredFirewall, table: Table | undefined): Part[] {
  const parts = masquerade ? [masqueradePart(networks, masquerade.except)] : [];
  if (!tunnel) return parts;
  const guarded = tunnelPart({ ...tunnel, peers: tunnel.peers ?? [] });
  const keep = tunnel.peers !== undefined || difference(guarded, table) === undefined;
  return [...parts, keep ? guarded : tunnelPart(tunnel)];
}
