/**
 * `weftd plan`: pending changes of this host, changing nothing. It goes by what an agent has saved of the lease and the
 * peers, so it needs no store and works beside a running agent.
 */
import { BridgesPart } from './bridge/bridges-part.ts';
import type { Config } from './config/config.ts';
import { FirewallPart } from './firewall/firewall-part.ts';
import { isUnmasqueraded, subnetFileOf } from './host-state.ts';
import { OverlayPart } from './overlay/overlay-part.ts';
import type { HostState } from './overlay/state.ts';
import type { Part, PartPlan } from './reconcile/part.ts';
import { planParts } from './reconcile/parts.ts';
import { PodRecords } from './records.ts';
import { withSavedHost } from './saved-host.ts';
import { SubnetFilePart } from './subnet-file/subnet-file-part.ts';
import { SettingsPart } from './sysctl/settings-part.ts';
import { UnderlayPart } from './underlay/underlay-part.ts';

/**
 * The parts that the agent keeps, each planned and none applied.
 *
 * @throws AgentError `state` where no agent has held a lease here yet
 */
export const planHost = ({ config, file }: { config: Config; file: string }): Promise<PartPlan> =>
  withSavedHost({ config, file }, async ({ rtnl, underlay, host, signal }) => {
    const records = new PodRecords(config.runDir);
    const parts: Part<HostState>[] = [
      new UnderlayPart(),
      ...config.networks.map(({ cidr: { family } }) => new OverlayPart({ rtnl, family })),
      new BridgesPart({ rtnl, records }),
      new SettingsPart({
        rtnl,
        set: () => undefined,
        links: () => ({ bridges: records.bridges, egress: underlay.current?.egress ?? [] }),
        unmasqueraded: () => isUnmasqueraded(config),
      }),
      new FirewallPart({
        masquerade: () => (config.masquerade.enabled ? config.masquerade : undefined),
        pods: () => records.pods,
        onDamage: () => undefined,
        signal,
      }),
      new SubnetFilePart({
        runDir: config.runDir,
        fileOf: (state) => subnetFileOf(state, config, underlay.mtuBytes),
      }),
    ];
    return await planParts(parts, host);
  });
