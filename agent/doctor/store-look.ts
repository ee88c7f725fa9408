/** The store as this node reaches it. */
import type { SubnetRecord } from '../lease/view/peer-view.ts';
import type { HeldNode } from '../lease/view/view.ts';

export interface StoreLook {
  readonly description: string;
  /** Why it cannot be read; undefined: it can. */
  readonly unreadable: string | undefined;
  /** Why it cannot be written. */
  readonly unwritable: string | undefined;
  /** The folder of a file store that does not exist yet: the agent makes it. */
  readonly absent?: boolean;
  /** Of a record store. */
  readonly subnets: readonly HeldSubnet[];
  readonly roundTripMs: number | undefined;
}

export interface HeldSubnet {
  readonly record: SubnetRecord;
  readonly owner: HeldNode | undefined;
  /** Since its holder's last renewal; undefined where nobody renews it. */
  readonly silentSeconds: number | undefined;
}
