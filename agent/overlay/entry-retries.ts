/** Entries that wait before they are tried again, and the problems that follow, as text. */
import { formatCidr } from '../../inet/cidr.ts';
import { KernelError } from '../../kernel/errors.ts';
import { reasonOf } from '../../problem/reason.ts';
import { type Contention, type Failure, RetryTable } from '../reconcile/retry-table.ts';
import { describeEntry, type Entry, type LinkNames, sameEntry } from './entry.ts';
import type { Step } from './plan.ts';

/** Refused entries that are described one by one. */
const DESCRIBED = 20;

export class EntryRetries extends RetryTable<Entry> {
  /**
   * A desired entry is missing. `before`: what was desired before, if the dataplane was known since then: an entry
   * that existed then was removed by another program.
   */
  missing({ id, entry }: Step, before: ReadonlyMap<string, Entry> | undefined): void {
    const was = before?.get(id);
    if (was && sameEntry(was, entry)) this.removed(id, entry);
  }

  /** One line each, the same for as long as the cause is. */
  problems(names: LinkNames): string[] {
    const { failures } = this;
    const more = failures.length - DESCRIBED;
    return [
      ...failures.slice(0, DESCRIBED).map((failure) => describeFailure(failure, names)),
      ...(more > 0 ? [`${more} more entries were refused by the kernel`] : []),
      ...this.contended.map((contention) => describeContention(contention, names)),
    ];
  }
}

function describeFailure({ item: entry, error, by }: Failure<Entry>, names: LinkNames): string {
  const text = `failed to set ${describeEntry(entry, names)}`;
  if (!(error instanceof KernelError)) return `${text}: ${reasonOf(error)}`;
  const { code, detail } = error;
  if (entry.kind !== 'route' || code !== 'EEXIST') return `${text}: ${code}${detail ? ` (${detail})` : ''}`;
  const destination = formatCidr(entry.destination);
  return (
    `${text}: ${by ?? 'another program'} has a route to ${destination}; remove it (ip route del ` +
    `${destination}), or give that node another subnet`
  );
}

const describeContention = ({ item, by }: Contention<Entry>, names: LinkNames): string =>
  `${describeEntry(item, names)}: ${by ?? 'another program'} keeps removing it; configure that program ` +
  `to ignore weft's entries`;
