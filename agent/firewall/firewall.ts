/**
 * Keeps the host's firewall what the overlay needs: state → plan → apply, from whatever state it is in.
 *
 * All it remembers is a digest of its own rules as the kernel showed them once they were made: so a change by
 * somebody else is seen though number and mark of the rules are the same. A process that has just begun goes
 * by number and mark.
 */
import {
  addMany,
  elements,
  type NftSet,
  nameOfElement,
  removeMany,
  type SetElement,
} from '../../kernel/nft/element.ts';
import { NftError } from '../../kernel/nft/errors.ts';
import { type Nfnl, transactInTurn } from '../../kernel/nft/nfnetlink.ts';
import {
  difference,
  fingerprintOfPart,
  type Part,
  type PartsPlan,
  planParts,
} from '../../kernel/nft/part.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import { readTable, type Table } from '../../kernel/nft/state.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import type { DesiredFirewall, Tunnel } from './desired.ts';
import { nameOf, planForeign } from './foreign.ts';
import { masqueradePart } from './masquerade.ts';
import { passagesOf } from './passages.ts';
import { surveyForeign } from './survey.ts';
import { peerElements, peerSets, tunnelPart } from './tunnel.ts';
import type { Watched } from './watched.ts';

export interface FirewallPass {
  /** What was changed, in words; empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, with the reason. */
  readonly problems: readonly string[];
}

export class Firewall {
  readonly #nfnl: Nfnl;
  /** By part: the digest of its rules as the kernel showed them after they were made. */
  readonly #known = new Map<string, string>();
  #watched: Watched | undefined;

  /** `nfnl`: a socket of the host's namespace; `ensure` and `plan` have to be called in the same. */
  constructor(nfnl: Nfnl) {
    this.#nfnl = nfnl;
  }

  /** What the last pass asked for: what notifications are held against. Undefined before the first. */
  get watched(): Watched | undefined {
    return this.#watched;
  }

  /**
   * Makes the firewall what is desired. A few reads where nothing differs; otherwise one transaction for
   * our table, one for the peers, and one for each foreign chain.
   *
   * @throws NftError, KernelError where our own table cannot be had.
   */
  ensure(desired: DesiredFirewall): FirewallPass {
    const done = [...this.#ensureTable(desired), ...this.#ensurePeers(desired.tunnel)];
    const foreign = surveyForeign(this.#nfnl);
    const problems: string[] = [];
    const plan = planForeign(passagesOf(desired), foreign);
    for (const [chain, { commands, reasons }] of plan) {
      try {
        applyRules(commands);
        done.push(...reasons);
      } catch (error) {
        if (!(error instanceof NftError)) throw error;
        problems.push(
          `cannot let the overlay's packets through the firewall chain ${chain}: ${error.message}`,
        );
      }
    }
    this.#watched = {
      peers: desired.tunnel?.peers,
      chains: new Set(foreign.map(({ chain }) => nameOf(chain))),
    };
    return { done, problems };
  }

  /** What `ensure` would do, in words, doing nothing. */
  plan(desired: DesiredFirewall): string[] {
    const foreign = planForeign(passagesOf(desired), surveyForeign(this.#nfnl));
    const peers = planPeers(this.#nfnl, desired.tunnel?.peers);
    return [
      ...(this.#planTable(desired)?.reasons ?? []),
      ...peers.missing.map((element) => `add ${nameOfElement(element)}`),
      ...peers.stray.map((element) => `remove ${nameOfElement(element)}`),
      ...[...foreign.values()].flatMap(({ reasons }) => reasons),
    ];
  }

  #planTable(desired: DesiredFirewall): PartsPlan | undefined {
    const table = readTable(this.#nfnl, inetTable);
    const parts = partsOf(desired, table);
    const touched = table ? parts.filter((part) => this.#isTouched(part, table)) : [];
    return planParts({
      name: inetTable,
      desired: parts,
      actual: table,
      all: true,
      touched: new Set(touched.map((part) => part.name)),
      elements: peerElements(desired.tunnel?.peers ?? []),
    });
  }

  #ensureTable(desired: DesiredFirewall): readonly string[] {
    const plan = this.#planTable(desired);
    if (plan) applyRules(plan.commands);
    if (plan || this.#known.size === 0) this.#remember(desired);
    return plan?.reasons ?? [];
  }

  #isTouched(part: Part, table: Table): boolean {
    const known = this.#known.get(part.name);
    return known !== undefined && known !== fingerprintOfPart(part, table);
  }

  #remember(desired: DesiredFirewall): void {
    const table = readTable(this.#nfnl, inetTable);
    this.#known.clear();
    if (!table) return;
    for (const part of partsOf(desired, table)) this.#known.set(part.name, fingerprintOfPart(part, table));
  }

  #ensurePeers(tunnel: Tunnel | undefined): string[] {
    const { missing, stray } = planPeers(this.#nfnl, tunnel?.peers);
    transactInTurn(this.#nfnl, [...addMany(missing), ...removeMany(stray)]);
    return [
      ...missing.map((element) => `add ${nameOfElement(element)}`),
      ...stray.map((element) => `remove ${nameOfElement(element)}`),
    ];
  }
}

/** The parts of our table. While the peers are not known, a guard that stands is left standing. */
function partsOf(desired: DesiredFirewall, table: Table | undefined): Part[] {
  const parts: Part[] = [];
  if (desired.masquerade) parts.push(masqueradePart(desired.networks, desired.masquerade.except));
  if (desired.tunnel) {
    const guarded = tunnelPart({ ...desired.tunnel, peers: desired.tunnel.peers ?? [] });
    const keep = desired.tunnel.peers !== undefined || difference(guarded, table) === undefined;
    parts.push(keep ? guarded : tunnelPart(desired.tunnel));
  }
  return parts;
}

/** The difference between the peers and the sets of them; none where they are not known. */
function planPeers(
  nfnl: Nfnl,
  peers: Tunnel['peers'],
): { readonly missing: readonly SetElement[]; readonly stray: readonly SetElement[] } {
  if (!peers) return { missing: [], stray: [] };
  const desired = new Map(peerElements(peers).map((element) => [nameOfElement(element), element]));
  const actual = new Map<string, SetElement>();
  for (const set of peerSets) {
    for (const { key } of elements(nfnl, set) ?? []) {
      const element = { set: set as NftSet, key };
      actual.set(nameOfElement(element), element);
    }
  }
  return {
    missing: [...desired].filter(([name]) => !actual.has(name)).map(([, element]) => element),
    stray: [...actual].filter(([name]) => !desired.has(name)).map(([, element]) => element),
  };
}
