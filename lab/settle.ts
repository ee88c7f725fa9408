/**
 * Waits until all nodes reach each other. An agent is ready when it reaches the peers that are in the store; nodes that
 * come up later are added later. A caller that pings at once waits here for that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readFlannelSubnets } from '../agent/lease/flannel/subnet-file.ts';
import { type Cidr, formatCidr, sameCidr } from '../inet/cidr.ts';
import { openRtnl, type Rtnl } from '../kernel/netlink/rtnl.ts';
import { openNetns, within } from '../kernel/netns.ts';
import { RTPROT_WEFT, routes } from '../kernel/route.ts';
import { LabError } from './errors.ts';
import { netnsPath } from './names.ts';
import type { LabNode } from './node.ts';

const settledWithinMs = 20_000;

/**
 * Resolves once each of the nodes has a route to the subnets of every other, as their subnet files name them. Throws
 * `LabError` with the first that is missing if that takes too long.
 */
export async function settle(nodes: readonly LabNode[]): Promise<void> {
  const subnets = new Map(nodes.map((node) => [node, readFlannelSubnets(node.path('/run/weft/subnet.env'))]));
  const since = Date.now();
  for (const node of nodes) {
    const wanted = nodes.filter((other) => other !== node).flatMap((other) => subnets.get(other) ?? []);
    const rtnl = openRtnlOf(node);
    try {
      for (let missing = firstMissing(rtnl, wanted); missing; missing = firstMissing(rtnl, wanted)) {
        if (Date.now() - since > settledWithinMs) {
          const after = `after ${settledWithinMs / 1000} s`;
          throw new LabError(
            `${node.name} has no route to ${formatCidr(missing)} ${after}: see ${node.agent.logFile}`,
          );
        }
        await delay(5);
      }
    } finally {
      rtnl.close();
    }
  }
}

function firstMissing(rtnl: Rtnl, wanted: readonly Cidr[]): Cidr | undefined {
  const families = new Set(wanted.map(({ family }) => family));
  const present = [...families].flatMap((family) => routes(rtnl, { family, protocol: RTPROT_WEFT }));
  return wanted.find((subnet) => !present.some(({ destination }) => sameCidr(destination, subnet)));
}

function openRtnlOf(node: LabNode): Rtnl {
  const netns = openNetns(netnsPath(node.lab, node.name));
  try {
    return within(netns, openRtnl);
  } finally {
    netns.close();
  }
}
