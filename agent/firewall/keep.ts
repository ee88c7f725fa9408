/** The firewall beside the overlay: what it should be follows from the overlays' states, and it is watched. */
import type { Cidr } from '../../inet/cidr.ts';
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { reasonOf } from '../errors.ts';
import { hasTunnel } from '../overlay/device.ts';
import type { OverlayState } from '../overlay/overlay.ts';
import type { DesiredFirewall, Pods } from './desired.ts';
import { Firewall, type FirewallPass } from './firewall.ts';
import { firewallDamageBy } from './watched.ts';

export interface KeptFirewallOptions {
  /** As of now. Undefined: pods leave with their own addresses. */
  readonly masquerade: () => { readonly except: readonly Cidr[] } | undefined;
  /** The pods as they are on record, asked for at each pass. */
  readonly pods: () => Pods;
  /** Something that was asked for is no longer so. */
  readonly onDamage: (reason: string) => void;
  readonly signal: AbortSignal;
}

export class KeptFirewall {
  readonly #options: KeptFirewallOptions;
  readonly #firewall: Firewall;

  constructor(options: KeptFirewallOptions) {
    this.#options = options;
    const nfnl = openNfnl();
    this.#firewall = new Firewall(nfnl);
    options.signal.addEventListener('abort', () => nfnl.close(), { once: true });
  }

  /** Makes it what these overlays need. What cannot be had is told: the overlay stands without it. */
  ensure(states: readonly OverlayState[]): FirewallPass {
    try {
      return this.#firewall.ensure({
        ...desiredFirewall(states, this.#options.masquerade()),
        pods: this.#options.pods(),
      });
    } catch (error) {
      return { done: [], problems: [`the firewall is not what it should be: ${reasonOf(error)}`] };
    }
  }

  /** Listens until the signal fires. */
  async listen(): Promise<void> {
    const { onDamage, signal } = this.#options;
    const monitor = NetlinkMonitor.open([NFNLGRP_NFTABLES], NETLINK_NETFILTER);
    await monitor.run(
      {
        onMessage: (message) => {
          const { watched } = this.#firewall;
          const damage = watched && firewallDamageBy(message, watched);
          if (damage) onDamage(damage);
        },
        onOverrun: () => onDamage('firewall notifications lost'),
      },
      signal,
    );
  }
}

export function desiredFirewall(
  states: readonly OverlayState[],
  masquerade: DesiredFirewall['masquerade'],
): Omit<DesiredFirewall, 'pods'> {
  const [first] = states;
  const complete = states.every((state) => state.complete);
  const peers = states.flatMap((state) => state.peers.map((peer) => peer.endpoint));
  return {
    networks: states.map(({ network, subnet }) => ({ cluster: network, subnet })),
    masquerade,
    tunnel:
      !first || !hasTunnel(first.backend)
        ? undefined
        : { port: first.backend.port, vni: first.backend.vni, peers: complete ? peers : undefined },
  };
}
