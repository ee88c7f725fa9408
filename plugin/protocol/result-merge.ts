import type { CniResult } from './result.ts';
import { isEmptyDns } from './routes.ts';

/**
 * What a plugin that is not the first of its chain answers: all that came before it, then its own (CNI
 * specification, section 4: prevResult is passed on, modified where the plugin changed something).
 */
export function mergeResults(previous: CniResult | undefined, own: CniResult): CniResult {
  if (!previous) return own;
  const offset = previous.interfaces.length;
  return {
    interfaces: [...previous.interfaces, ...own.interfaces],
    ips: [
      ...previous.ips,
      ...own.ips.map((each) =>
        each.interface === undefined ? each : { ...each, interface: each.interface + offset },
      ),
    ],
    routes: [...previous.routes, ...own.routes],
    dns: own.dns && !isEmptyDns(own.dns) ? own.dns : previous.dns,
  };
}
