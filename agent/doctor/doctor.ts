/** All checks in the order in which causes come before their consequences. None of them changes anything. */
import { reasonOf } from '../../problem/reason.ts';
import { addresses } from './checks/addresses.ts';
import { agent, health, lease } from './checks/agent.ts';
import { checksums } from './checks/checksums.ts';
import { clock } from './checks/clock.ts';
import { conflists } from './checks/conflists.ts';
import { dataplane } from './checks/dataplane.ts';
import { firewall, firewallPrograms } from './checks/firewall.ts';
import { bridgeNetfilter, forwarding, reversePath, settings } from './checks/forwarding.ts';
import { hostPorts } from './checks/host-ports.ts';
import { kernel } from './checks/kernel.ts';
import { leaks } from './checks/leaks.ts';
import { leases } from './checks/leases.ts';
import { names } from './checks/names.ts';
import { neighbourTable, staleNeighbours } from './checks/neighbours.ts';
import { macAddresses, networkManager } from './checks/other-programs.ts';
import { pathMtu } from './checks/path-mtu.ts';
import { peers } from './checks/peers.ts';
import { pluginFiles } from './checks/plugin-files.ts';
import { receiveHash } from './checks/rss.ts';
import { spoofed } from './checks/spoofed.ts';
import { store } from './checks/store.ts';
import { underlay } from './checks/underlay.ts';
import type { Check, Finding } from './finding.ts';
import type { DoctorHost } from './host.ts';

export const checks: readonly Check[] = [
  kernel,
  pluginFiles,
  conflists,
  agent,
  health,
  store,
  lease,
  leases,
  underlay,
  names,
  forwarding,
  reversePath,
  settings,
  bridgeNetfilter,
  firewall,
  firewallPrograms,
  dataplane,
  peers,
  pathMtu,
  staleNeighbours,
  neighbourTable,
  spoofed,
  hostPorts,
  addresses,
  leaks,
  checksums,
  receiveHash,
  macAddresses,
  networkManager,
  clock,
];

export interface Examined {
  readonly check: Pick<Check, 'name' | 'title'>;
  readonly findings: readonly Finding[];
}

/** Runs every check, also where one of them fails. */
export async function examine(host: DoctorHost): Promise<Examined[]> {
  const examined: Examined[] = [];
  for (const check of checks) examined.push({ check, findings: await look(check, host) });
  return examined;
}

async function look(check: Check, host: DoctorHost): Promise<readonly Finding[]> {
  try {
    const findings = await check.look(host);
    return 'severity' in findings ? [findings] : findings;
  } catch (error) {
    return [{ severity: 'unknown', found: `failed to look: ${reasonOf(error)}` }];
  }
}
