/** The firewall as a part of the host's reconciler: weft's own tables, and what other firewalls have to let through. */
import { type Cidr, formatCidr } from '../../inet/cidr.ts';
import { formatIp, type Ip } from '../../inet/ip.ts';
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES, type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { generation } from '../../kernel/nft/state.ts';
import { hasTunnel } from '../overlay/device.ts';
import type { FamilyState, HostState } from '../overlay/state.ts';
import { isUnchanged } from '../reconcile/generation.ts';
import type { Part, PartOutcome, PartPlan } from '../reconcile/part.ts';
import type { DesiredFirewall, Pods, Tunnel } from './desired.ts';
import { Firewall } from './firewall.ts';
import { type GuardDrops, readGuardDrops } from './guard-drops.ts';
import { legacyFamilies } from './legacy/legacy.ts';
import type { FirewallPass } from './pass.ts';

export interface FirewallPartOptions {
  /** As of now. Undefined: pods leave with their own addresses. */
  readonly masquerade: () => { readonly except: readonly Cidr[] } | undefined;
  /** The pods as they are on record, asked for at each pass. */
  readonly pods: () => Pods;
  /** Something that was asked for is no longer so. */
  readonly onDamage: (reason: string) => void;
  readonly signal: AbortSignal;
}

/** What a pass was asked for, and what it found. */
interface Passed {
  /** All but who the peers are. */
  readonly inputs: readonly unknown[];
  readonly peers: Tunnel['peers'];
  /** Of nftables, when all had been looked at and nothing had to be done. */
  readonly generation: number;
  readonly result: FirewallPass;
  readonly retryAtMs: number;
}

export class FirewallPart implements Part<HostState> {
  readonly name = 'firewall';
  readonly #options: FirewallPartOptions;
  readonly #nfnl: Nfnl;
  readonly #firewall: Firewall;
  #passed: Passed | undefined;

  constructor(options: FirewallPartOptions) {
    this.#options = options;
    this.#nfnl = openNfnl();
    this.#firewall = new Firewall(this.#nfnl);
    options.signal.addEventListener('abort', () => this.#nfnl.close(), { once: true });
  }

  plan(host: HostState): PartPlan {
    return { steps: this.#firewall.plan(this.#desired(host)), problems: [] };
  }

  /**
   * Where nobody has changed a table since the last pass and only other peers are desired, nothing else is read; where
   * nothing else is desired, nothing.
   */
  reconcile(host: HostState): PartOutcome {
    try {
      return this.#reconcile(host);
    } catch (error) {
      this.#passed = undefined;
      this.#firewall.invalidate();
      throw error;
    }
  }

  #reconcile(host: HostState): PartOutcome {
    const desired = this.#desired(host);
    const inputs = [
      desired.masquerade,
      desired.pods,
      legacyFamilies().join(),
      ...host.families.flatMap(inputsOf),
    ];
    const before = generation(this.#nfnl);
    const peers = desired.tunnel?.peers;
    const passed = this.#passed;
    this.#passed = undefined;
    if (passed && stillHolds(passed, inputs, before)) {
      const done = isUnchanged(passed.peers, peers) ? [] : this.#firewall.ensurePeers(peers);
      const after = before + (done.length ? 1 : 0);
      // Where it was not one transaction, ours, all has to be looked at again.
      if (generation(this.#nfnl) === after) this.#passed = { ...passed, peers, generation: after };
      return { ...passed.result, done };
    }
    const result = this.#firewall.ensure(desired);
    if (result.done.length === 0) {
      const retryAtMs = performance.now() + (result.retryInMs ?? Number.POSITIVE_INFINITY);
      this.#passed = { inputs, peers, generation: before, result, retryAtMs };
    }
    return result;
  }

  #desired({ families }: HostState): DesiredFirewall {
    return { ...desiredFirewall(families, this.#options.masquerade()), pods: this.#options.pods() };
  }

  /** Addresses that tunnel packets were dropped from lately, since no peer has announced them. */
  droppedSources(): string[] {
    return this.guardDrops().received.map(({ address }) => formatIp(address));
  }

  guardDrops(): GuardDrops {
    return readGuardDrops(this.#nfnl);
  }

  /** Listens until the signal fires. */
  async listen(): Promise<void> {
    const { onDamage, signal } = this.#options;
    const monitor = NetlinkMonitor.open([NFNLGRP_NFTABLES], NETLINK_NETFILTER);
    this.#firewall.relyOnNotifications();
    await monitor.run(
      {
        onMessage: (message) => {
          const damage = this.#firewall.observe(message);
          if (damage) onDamage(damage);
        },
        onOverrun: () => {
          this.#passed = undefined;
          this.#firewall.invalidate();
          onDamage('firewall notifications lost');
        },
      },
      signal,
    );
  }
}

function stillHolds(passed: Passed, inputs: readonly unknown[], generation: number): boolean {
  return (
    passed.generation === generation &&
    performance.now() < passed.retryAtMs &&
    passed.inputs.length === inputs.length &&
    passed.inputs.every((input, i) => isSame(input, inputs[i]))
  );
}

const isSame = (before: unknown, now: unknown): boolean =>
  isObject(before) && isObject(now) ? isUnchanged(before, now) : before === now;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** What follows from a state, as things that stay the same as long as it does. */
const inputsOf = ({ complete, backend, network, subnet, underlay }: FamilyState): readonly unknown[] => [
  complete,
  underlay?.name,
  backend.type,
  backend.tunnelStays,
  backend.vni,
  backend.port,
  formatCidr(network),
  formatCidr(subnet),
];

/** The peers' endpoints, of all families; the same list for the same lists of peers. */
const endpoints = new WeakMap<FamilyState['peers'], { of: readonly FamilyState[]; ips: readonly Ip[] }>();

function endpointsOf(states: readonly FamilyState[]): readonly Ip[] {
  const [first] = states;
  if (!first) return [];
  const known = endpoints.get(first.peers);
  if (
    known?.of.length === states.length &&
    states.every((state, i) => isUnchanged(state.peers, known.of[i]?.peers))
  ) {
    return known.ips;
  }
  const ips = states.flatMap((state) =>
    state.peers.flatMap(({ endpoint, sources = [] }) => [endpoint, ...sources]),
  );
  endpoints.set(first.peers, { of: states, ips });
  return ips;
}

export function desiredFirewall(
  states: readonly FamilyState[],
  masquerade: DesiredFirewall['masquerade'],
): Omit<DesiredFirewall, 'pods'> {
  const [first] = states;
  const complete = states.every((state) => state.complete);
  const peers = endpointsOf(states);
  return {
    networks: states.map(({ network, subnet }) => ({ cluster: network, subnet })),
    masquerade,
    direct: states.flatMap(({ backend, underlay }) =>
      backend.type === 'vxlan' || !underlay ? [] : [underlay.name],
    ),
    tunnel:
      !first || !hasTunnel(first.backend)
        ? undefined
        : { port: first.backend.port, vni: first.backend.vni, peers: complete ? peers : undefined },
  };
}
