/** The sysctls that pods' packets depend on, of the whole host and of every interface. */
import { readdirSync } from 'node:fs';
import { readSysctl } from '../../kernel/sysctl.ts';

const hostKeys = [
  'net/ipv4/ip_forward',
  'net/ipv4/neigh/default/gc_thresh1',
  'net/ipv4/neigh/default/gc_thresh2',
  'net/ipv4/neigh/default/gc_thresh3',
  'net/ipv6/neigh/default/gc_thresh3',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/netfilter/nf_conntrack_max',
  'net/netfilter/nf_conntrack_count',
];

const interfaceKeys: Readonly<Record<string, readonly string[]>> = {
  ipv4: ['forwarding', 'rp_filter', 'send_redirects', 'accept_redirects', 'route_localnet', 'proxy_arp'],
  ipv6: ['forwarding', 'disable_ipv6', 'accept_ra', 'accept_dad', 'addr_gen_mode'],
};

/** By key; what the kernel does not have is left out. */
export function readSettings(): Record<string, string> {
  const keys = [
    ...hostKeys,
    ...Object.entries(interfaceKeys).flatMap(([family, names]) =>
      interfacesOf(family).flatMap((link) => names.map((name) => `net/${family}/conf/${link}/${name}`)),
    ),
  ];
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = readSysctl(key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function interfacesOf(family: string): string[] {
  try {
    return readdirSync(`/proc/sys/net/${family}/conf`);
  } catch {
    return [];
  }
}
