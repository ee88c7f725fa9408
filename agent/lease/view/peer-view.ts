/** What is known of the peers' records, whichever store they are in: what the rules for peers go by. */
import type { Cidr } from '../../../inet/cidr.ts';
import type { NodeExtension } from '../extension.ts';
import type { LeaseAttributes, PeerProblem } from '../lease.ts';

export interface SubnetRecord {
  /** `10.244.1.0-24` */
  readonly key: string;
  readonly subnets: readonly Cidr[];
  /** Undefined where the value is no lease; `problem` says why. */
  readonly attributes: LeaseAttributes | undefined;
  readonly problem: string | undefined;
  readonly session: string | undefined;
}

/** One of weft's nodes. */
export interface PeerOwner {
  readonly id: string;
  readonly name: string;
  readonly extension?: NodeExtension;
  /** Why the extension is left out. */
  readonly extensionProblem?: string;
}

/** What is known of the peers' records, in whichever store they are. */
export interface PeerView {
  /** A whole list has been seen: a record that is not here does not exist. */
  readonly complete: boolean;
  subnets(): Iterable<SubnetRecord>;
  subnet(key: string): SubnetRecord | undefined;
  /** Which of weft's nodes a record belongs to. */
  ownerOf(record: SubnetRecord): PeerOwner | undefined;
  /** Its node gave the subnet back. */
  released(key: string): unknown;
  /** Where an operator finds the record: `subnets/10.244.1.0-24`, `Node node-1`. */
  labelOf(key: string): string;
  labelOfOwner(owner: PeerOwner): string;
  /** What is wrong beside the records. */
  problems(): Iterable<PeerProblem>;
}
