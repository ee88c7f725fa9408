/** The host's settings as a part of the reconciler: set, kept, and reported where they cannot be set. */
import { linksToKeepAdvertised } from '../../kernel/advertised-routes.ts';
import { linkByName } from '../../kernel/link.ts';
import { netconfOf } from '../../kernel/netconf.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { RTM_NEWNETCONF, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { readSysctl } from '../../kernel/sysctl.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { HostState } from '../overlay/state.ts';
import type { Part, PartOutcome, PartPlan, Pass } from '../reconcile/part.ts';
import { RetryTable } from '../reconcile/retry-table.ts';
import type { Trigger } from '../reconcile/trigger.ts';
import { desiredSettings, type Setting } from './desired-settings.ts';
import type { SetSysctl } from './ledger.ts';

export interface SettingsPartOptions {
  readonly rtnl: Rtnl;
  readonly set: SetSysctl;
  /** As of now: bridges that pods are on, links of default routes, whether pods' own addresses are seen outside. */
  readonly links: () => { readonly bridges: readonly string[]; readonly egress: readonly string[] };
  readonly unmasqueraded: () => boolean;
}

const NETCONFA_IFINDEX_ALL = -1;

export class SettingsPart implements Part<HostState> {
  readonly name = 'settings';
  readonly #options: SettingsPartOptions;
  readonly #retries = new RetryTable<Setting>();
  /** What was last found right, so that what changes afterwards is known to be changed by another program. */
  #right = new Set<string>();
  #watched: ReadonlySet<number> = new Set();
  #known: { readonly inputs: string; readonly outcome: PartOutcome } | undefined;

  constructor(options: SettingsPartOptions) {
    this.#options = options;
  }

  /** The kernel notifies of forwarding and of rp_filter; of accept_ra it does not. */
  observe(message: NetlinkMessage): Trigger | undefined {
    if (message.type !== RTM_NEWNETCONF) return undefined;
    const { index, forwarding, rpFilter } = netconfOf(message.body);
    if (index === undefined || !this.#watched.has(index)) return undefined;
    if (forwarding === false) return { reason: 'forwarding off', base: true };
    return rpFilter === 1 ? { reason: 'rp_filter strict', base: true } : undefined;
  }

  plan(host: HostState): PartPlan {
    const pending = this.#desired(host).filter(({ key, value }) => {
      const now = readSysctl(key);
      return now !== undefined && now !== value;
    });
    return { steps: pending.map(({ key, value }) => `${key}: ${readSysctl(key)} -> ${value}`), problems: [] };
  }

  reconcile(host: HostState, { base }: Pass): PartOutcome {
    const inputs = this.#inputsOf(host);
    if (!base && this.#known?.inputs === inputs) return { ...this.#known.outcome, done: [] };
    const settings = this.#desired(host);
    const done = settings.flatMap((setting) => this.#ensure(setting));
    this.#watch(settings);
    this.#retries.keepOnly(new Set(settings.map(({ key }) => key)));
    const outcome = { done, problems: this.#problems(), retryInMs: this.#retries.nextInMs() };
    // What failed, or waits, is looked at again in each pass.
    this.#known = outcome.problems.length ? undefined : { inputs, outcome };
    return outcome;
  }

  #desired({ families }: HostState): Setting[] {
    const { rtnl, links, unmasqueraded } = this.#options;
    const hasIpv6 = families.some(({ network }) => network.family === 'ipv6');
    const advertised = hasIpv6 ? linksToKeepAdvertised(rtnl) : [];
    return desiredSettings({ families, ...links(), advertised, unmasqueraded: unmasqueraded() });
  }

  #inputsOf({ families }: HostState): string {
    const { links, unmasqueraded } = this.#options;
    const ofFamilies = families.map(({ network, underlay, backend }) => [
      network.family,
      underlay?.name,
      underlay?.index,
      backend.type,
      backend.tunnelStays,
      backend.vni,
    ]);
    return JSON.stringify([ofFamilies, links(), unmasqueraded()]);
  }

  #ensure(setting: Setting): string[] {
    const { key, value } = setting;
    const now = readSysctl(key);
    if (now === undefined || now === value) {
      this.#retries.settled(key);
      this.#right.add(key);
      return [];
    }
    if (this.#right.delete(key)) this.#retries.removed(key, setting);
    if (!this.#retries.isDue(key)) return [];
    try {
      const before = this.#options.set(key, value);
      this.#retries.settled(key);
      this.#right.add(key);
      return before === undefined ? [] : [`${key}: ${before} -> ${value}`];
    } catch (error) {
      this.#retries.failed(key, { item: setting, error });
      return [];
    }
  }

  #watch(settings: readonly Setting[]): void {
    const names = new Set(
      settings.flatMap(({ key }) => /^net\/ipv4\/conf\/(.+)\/[^/]+$/.exec(key)?.[1] ?? []),
    );
    const indexes = [...names].flatMap((name) => linkByName(this.#options.rtnl, name)?.index ?? []);
    this.#watched = new Set([NETCONFA_IFINDEX_ALL, ...indexes]);
  }

  #problems(): string[] {
    return [
      ...this.#retries.failures.map(
        ({ item: { key, value, why }, error }) =>
          `sysctl ${dotted(key)}=${value} is needed: ${why} (${reasonOf(error)}); set it on the host (/etc/sysctl.d)`,
      ),
      ...this.#retries.contended.map(
        ({ item: { key, value, why } }) =>
          `sysctl ${dotted(key)}: another program keeps changing it from ${value}, and without it ${why}; ` +
          'configure that program (/etc/sysctl.d, a hardening tool)',
      ),
    ];
  }
}

/** As sysctl(8) writes it: an interface's own dots become slashes. */
const dotted = (key: string): string =>
  key
    .split('/')
    .map((part) => part.replaceAll('.', '/'))
    .join('.');
