/** The kernel's features, tried in a network namespace of their own: what is built in, or a module, is no matter. */
import { release } from 'node:os';
import { KernelError } from '../../../kernel/errors.ts';
import type { NetlinkRequest } from '../../../kernel/netlink/message.ts';
import { openRtnl, type Rtnl } from '../../../kernel/netlink/rtnl.ts';
import { newNetns, within } from '../../../kernel/netns.ts';
import * as newLink from '../../../kernel/new-link.ts';
import { applyRules } from '../../../kernel/nft/run.ts';
import { reasonOf } from '../../../problem/reason.ts';
import type { Check, Finding } from '../finding.ts';

interface Feature {
  readonly name: string;
  /** What does not work without it. */
  readonly need: string;
  readonly severity: 'failed' | 'warning';
  readonly module: string;
  attempt(rtnl: Rtnl): void;
}

const mac = '02:00:00:00:00:01';
const mtuBytes = 1500;
const making =
  (...requests: NetlinkRequest[]) =>
  (rtnl: Rtnl): void =>
    rtnl.execute(requests);

const table = (rules: string): string => `table inet weft-doctor {\n${rules}\n}\n`;
const vxlan = { vni: 1, port: 8472, parent: 0, local: undefined, learning: false, gbp: false };

const features: readonly Feature[] = [
  {
    name: 'bridge',
    need: 'pods cannot be connected',
    severity: 'failed',
    module: 'bridge',
    attempt: making(newLink.bridge({ name: 'try-bridge', mac })),
  },
  {
    name: 'veth',
    need: 'pods cannot be connected',
    severity: 'failed',
    module: 'veth',
    attempt: making(
      newLink.veth({ name: 'try-veth', mac, mtuBytes, peer: { name: 'try-peer', mac, mtuBytes } }),
    ),
  },
  {
    name: 'vxlan',
    need: 'the backends vxlan and auto do not work; set backend.type: direct without it',
    severity: 'failed',
    module: 'vxlan',
    attempt: making(newLink.vxlan({ name: 'try-vxlan', mac, mtuBytes: 1450, vxlan })),
  },
  {
    name: 'nftables',
    need: 'the tunnel is not guarded, and pods do not reach the world outside',
    severity: 'failed',
    module: 'nf_tables',
    attempt: () =>
      applyRules(
        table(
          'set s { type ipv4_addr; }\nchain c { type filter hook input priority raw; ip saddr @s drop; }',
        ),
      ),
  },
  {
    name: 'masquerade',
    need: 'pods do not reach the world outside; set masquerade: false without it',
    severity: 'failed',
    module: 'nft_masq',
    attempt: () =>
      applyRules(table('chain m { type nat hook postrouting priority srcnat; oifname "x" masquerade; }')),
  },
  {
    name: 'nftables for bridges',
    need: 'pods can send with addresses of others; set "ipspoofchk": false in the CNI configuration without it',
    severity: 'failed',
    module: 'nf_tables_bridge',
    attempt: () =>
      applyRules(
        'table bridge weft-doctor { chain c { type filter hook prerouting priority -300; ether type arp drop; }\n}\n',
      ),
  },
  {
    name: 'ifb',
    need: 'bandwidth limits of what pods receive do not work',
    severity: 'warning',
    module: 'ifb',
    attempt: making(newLink.ifb({ name: 'try-ifb' })),
  },
];

export const kernel: Check = {
  name: 'kernel',
  title: 'Kernel features',
  look: () => {
    const netns = newNetns();
    try {
      const rtnl = within(netns, openRtnl);
      try {
        const missing = features.flatMap((feature) =>
          tried(feature, () => within(netns, () => feature.attempt(rtnl))),
        );
        const there = features.filter(({ name }) => !missing.some(({ subject }) => subject === name));
        const found = `Linux ${release()}: ${there.map(({ name }) => name).join(', ')}`;
        return [{ severity: 'ok', found }, ...missing];
      } finally {
        rtnl.close();
      }
    } finally {
      netns.close();
    }
  },
};

function tried(feature: Feature, attempt: () => void): Finding[] {
  try {
    attempt();
    return [];
  } catch (error) {
    const { name, need, severity, module } = feature;
    const why = error instanceof KernelError ? error.code : reasonOf(error);
    return [
      {
        severity,
        subject: name,
        found: `missing (${why}): ${need}`,
        wanted: `module ${module}, or the feature built into the kernel`,
        remedy: why.includes('not installed') ? 'apt install nftables' : `modprobe ${module}`,
      },
    ];
  }
}
