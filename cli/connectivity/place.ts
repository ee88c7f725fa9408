/** Where connectivity is tested from and to: one pod on one node. */
import type { Outcome } from '../../lab/command.ts';

export interface Place {
  /** The node's name, as people know it. */
  readonly node: string;
  /** One per family, without their lengths. */
  readonly addresses: readonly string[];
  /** Of its interface. */
  readonly mtuBytes: number;
  /** Runs a program in the pod. */
  exec(argv: readonly string[]): Promise<Outcome>;
  /** Removes the pod; never throws. */
  remove(): Promise<void>;
}

/** Not by /sys, which does not follow a network namespace by itself. */
export const linkCommand = ['ip', '-oneline', 'link', 'show', 'dev', 'eth0'];

export const mtuIn = (output: string): number => Number(/ mtu (\d+)/.exec(output)?.[1]);
