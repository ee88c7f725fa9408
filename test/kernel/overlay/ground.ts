/** A namespace with an underlay, and an overlay in it: what its tests ask for, do, and see. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Overlay } from '../../../agent/overlay/overlay.ts';
import type { Peer } from '../../../agent/overlay/peer.ts';
import type { OverlayState } from '../../../agent/overlay/state.ts';
import type { PartOutcome } from '../../../agent/reconcile/part.ts';
import { everything } from '../../../agent/reconcile/trigger.ts';
import { SettingsPart } from '../../../agent/sysctl/settings-part.ts';
import { cidr, parseInterfaceAddress } from '../../../inet/cidr.ts';
import { type Family, ip } from '../../../inet/ip.ts';
import { linkByName } from '../../../kernel/link.ts';
import { openRtnl, type Rtnl } from '../../../kernel/netlink/rtnl.ts';
import { type Netns, openNetns, within } from '../../../kernel/netns.ts';
import { ensureSysctl } from '../../../kernel/sysctl.ts';

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8' });

export const families = {
  ipv4: {
    network: '10.244.0.0/16',
    subnet: '10.244.1.0/24',
    underlay: '192.168.188.101/24',
    endpoint: (n: number) => `192.168.188.${100 + n}`,
    far: (n: number) => `192.168.77.${100 + n}`,
    peerSubnet: (n: number) => `10.244.${n}.0/24`,
    device: 'weft.1',
    deviceMtuBytes: 1450,
    flag: '-4',
    forwarding: 'net.ipv4.ip_forward',
  },
  ipv6: {
    network: 'fd00:10:244::/56',
    subnet: 'fd00:10:244:1::/64',
    underlay: '2001:db8:188::101/64',
    endpoint: (n: number) => `2001:db8:188::${100 + n}`,
    far: (n: number) => `2001:db8:77::${100 + n}`,
    peerSubnet: (n: number) => `fd00:10:244:${n}::/64`,
    device: 'weft-v6.1',
    deviceMtuBytes: 1430,
    flag: '-6',
    forwarding: 'net.ipv6.conf.all.forwarding',
  },
} as const;

export const macOf = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`;

type Converged = ReturnType<Overlay['reconcile']>;

export class Ground {
  readonly name: string;
  readonly family: Family;
  readonly netns: Netns;
  readonly rtnl: Rtnl;
  readonly overlay: Overlay;
  readonly settings: SettingsPart;

  constructor(family: Family) {
    this.family = family;
    this.name = `weft-t-${process.pid}-${family}`;
    run('ip', 'netns', 'add', this.name);
    this.netns = openNetns(`/run/netns/${this.name}`);
    this.rtnl = within(this.netns, openRtnl);
    this.overlay = new Overlay(this.rtnl);
    this.settings = new SettingsPart({
      rtnl: this.rtnl,
      set: ensureSysctl,
      links: () => ({ bridges: [], egress: [] }),
      unmasqueraded: () => false,
    });
    this.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
    this.ip('link', 'set', 'eth0', 'up');
    this.ip('link', 'set', 'wire', 'up');
    this.addUnderlayAddress();
  }

  close(): void {
    this.rtnl.close();
    this.netns.close();
    run('ip', 'netns', 'del', this.name);
  }

  ip(...args: string[]): string {
    return run('ip', '-n', this.name, ...args);
  }

  bridge(...args: string[]): string {
    return run('bridge', '-n', this.name, ...args);
  }

  addUnderlayAddress(): void {
    const nodad = this.family === 'ipv6' ? ['nodad'] : [];
    this.ip('address', 'replace', families[this.family].underlay, 'dev', 'eth0', ...nodad);
  }

  peer(n: number, change: Partial<Peer> = {}): Peer {
    const { peerSubnet, endpoint } = families[this.family];
    return {
      key: `peer-${n}`,
      name: `node-${n}`,
      subnet: cidr(peerSubnet(n)),
      endpoint: ip(endpoint(n)),
      vtepMac: macOf(n),
      ...change,
    };
  }

  state(peers: Peer[], change: Partial<OverlayState> = {}): OverlayState {
    const values = families[this.family];
    const address = parseInterfaceAddress(values.underlay);
    const underlay = linkByName(this.rtnl, 'eth0');
    assert.ok(address && underlay);
    return {
      network: cidr(values.network),
      subnet: cidr(values.subnet),
      underlay: { index: underlay.index, name: 'eth0', address, mtuBytes: underlay.mtuBytes },
      vtepMac: macOf(1),
      backend: { type: 'vxlan', vni: 1, port: 8472, mtuBytes: undefined },
      peers,
      answeringDirect: new Set(),
      pathMtuBytes: new Map(),
      complete: true,
      unleased: undefined,
      ...change,
    };
  }

  /** The state's pass, in the namespace: /proc/sys is reached through the calling thread. */
  converge(state: OverlayState): Converged {
    this.overlay.invalidate();
    return this.repair(state);
  }

  /** A pass over the host's settings. */
  ensureSettings(state: OverlayState): PartOutcome {
    const pass = { reasons: [], failed: [], ...everything };
    return within(this.netns, () =>
      this.settings.reconcile({ families: [state], underlayProblems: [] }, pass),
    );
  }

  /** A pass that goes by the notifications that the overlay was given, and reads nothing. */
  repair(state: OverlayState): Converged {
    return this.inside(() => this.overlay.reconcile(state));
  }

  /** Starts an asynchronous pass inside: its synchronous head is where /proc/sys is written. */
  inside<T>(start: () => Promise<T>): Promise<T> {
    return within(this.netns, () => ({ promise: start() })).promise;
  }

  routes(): { dst: string; gateway: string; dev: string; flags: string[] }[] {
    return JSON.parse(this.ip(families[this.family].flag, '-j', 'route', 'show', 'proto', '87'));
  }

  /** All that an overlay keeps, as text. */
  snapshot(): string {
    const { flag, device } = families[this.family];
    return [
      this.ip('-o', 'link', 'show')
        .replace(/^\d+: /gm, '')
        .replace(/@if\d+|@\w+/g, ''),
      this.ip('-o', flag, 'address', 'show', 'dev', device).replace(/^\d+: /gm, ''),
      this.ip(flag, 'route', 'show', 'proto', '87'),
      this.ip(flag, 'neigh', 'show', 'nud', 'permanent').split('\n').sort().join('\n'),
      this.bridge('fdb', 'show', 'dev', device).split('\n').sort().join('\n'),
    ].join('\n');
  }

  /** A snapshot that can also be taken while there is no device. */
  damaged(): string {
    const exists = this.ip('-o', 'link', 'show').includes(families[this.family].device);
    return exists ? this.snapshot() : 'no device';
  }
}
