/** The underlay as a part of the host's reconciler: nothing of it is weft's to set, so it only observes and reports. */
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { AF_BRIDGE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from '../../kernel/netlink/rtnl.ts';
import type { HostState } from '../overlay/state.ts';
import type { Part, PartOutcome, PartPlan } from '../reconcile/part.ts';
import type { Trigger } from '../reconcile/trigger.ts';

export class UnderlayPart implements Part<HostState> {
  readonly name = 'underlay';
  #missing = true;

  /** While there is none, every link, address or route may bring it; else the overlays know what concerns them. */
  observe({ type, body }: NetlinkMessage): Trigger | undefined {
    if (!this.#missing) return undefined;
    const linkUp = type === RTM_NEWLINK && body[0] !== AF_BRIDGE;
    return linkUp || type === RTM_NEWADDR || type === RTM_NEWROUTE
      ? { reason: 'underlay', underlay: true }
      : undefined;
  }

  plan(host: HostState): PartPlan {
    return { steps: [], problems: describe(host) };
  }

  reconcile(host: HostState): PartOutcome {
    this.#missing = host.underlayProblems.length > 0;
    return { done: [], problems: describe(host) };
  }
}

function describe({ underlayProblems, families }: HostState): string[] {
  const last = families.find(({ underlay }) => underlay)?.underlay;
  const consequence = last ? `the last known one, ${last.name}, stays in use` : 'peers are not reachable';
  return underlayProblems.map((problem) => `${problem} (${consequence})`);
}
