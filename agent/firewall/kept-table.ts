/**
 * One of weft's tables, kept as it should be.
 *
 * All it remembers is a digest of each part's rules as the kernel showed them once they were made: so a change
 * by somebody else is seen though number and mark of the rules are the same. A process that has just begun goes
 * by number and mark.
 */

import type { Nfnl } from '../../kernel/nft/nfnetlink.ts';
import { fingerprintOfPart, type Part, type PartsPlan, planParts } from '../../kernel/nft/part.ts';
import { applyRules } from '../../kernel/nft/run.ts';
import type { SetElement } from '../../kernel/nft/set.ts';
import { readTable, type Table, type TableName } from '../../kernel/nft/state.ts';

/** What a table should consist of. It may depend on what is there. */
export interface DesiredTable {
  parts(actual: Table | undefined): readonly Part[];
  /** What belongs into sets that have yet to be made. */
  elements(): readonly SetElement[];
}

export class KeptTable {
  readonly #nfnl: Nfnl;
  readonly #name: TableName;
  readonly #known = new Map<string, string>();

  constructor(nfnl: Nfnl, name: TableName) {
    this.#nfnl = nfnl;
    this.#name = name;
  }

  /** What `ensure` would do; undefined where nothing differs. */
  plan(desired: DesiredTable): PartsPlan | undefined {
    const actual = readTable(this.#nfnl, this.#name);
    const parts = desired.parts(actual);
    if (!actual && parts.length === 0) return undefined;
    const touched = actual ? parts.filter((part) => this.#isTouched(part, actual)) : [];
    return planParts({
      name: this.#name,
      desired: parts,
      actual,
      all: true,
      touched: new Set(touched.map((part) => part.name)),
      elements: () => desired.elements(),
    });
  }

  /** Makes it so in one transaction, in the calling thread's namespace; returns what was done, in words. */
  ensure(desired: DesiredTable): readonly string[] {
    const plan = this.plan(desired);
    if (plan) applyRules(plan.commands);
    if (plan || this.#known.size === 0) this.#remember(desired);
    return plan?.reasons ?? [];
  }

  #isTouched(part: Part, table: Table): boolean {
    const known = this.#known.get(part.name);
    return known !== undefined && known !== fingerprintOfPart(part, table);
  }

  #remember(desired: DesiredTable): void {
    this.#known.clear();
    const table = readTable(this.#nfnl, this.#name);
    if (!table) return;
    for (const part of desired.parts(table)) this.#known.set(part.name, fingerprintOfPart(part, table));
  }
}
