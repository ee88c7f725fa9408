/**
 * What a pod reads as /etc/resolv.conf and /etc/hosts (kubelet's `pkg/kubelet/network/dns` and `ensureHostsFile`).
 * Pure.
 */
import { parseIp } from '../../inet/ip.ts';
import type { Dns, HostAlias } from '../manifest/pod.ts';

const mostNameservers = 3;

interface Resolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** The text of resolv.conf for a pod on a host whose own is `hostText`. */
export function resolvConf(dns: Dns, hostText: string): string {
  const host = dns.inheritsHost ? parse(hostText) : { nameservers: [], searches: [], options: [] };
  const nameservers = unique([...host.nameservers, ...dns.nameservers]).slice(0, mostNameservers);
  const searches = unique([...host.searches, ...dns.searches]);
  const given = new Set(dns.options.map(nameOf));
  const options = [...host.options.filter((option) => !given.has(nameOf(option))), ...dns.options];
  return [
    ...nameservers.map((server) => `nameserver ${server}\n`),
    ...(searches.length > 0 ? [`search ${searches.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}

/** Without name servers on the host's loopback, which pods cannot reach. */
function parse(text: string): Resolver {
  const lines = text.split('\n').map((line) =>
    line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/),
  );
  const all = (keyword: string) => lines.filter(([word]) => word === keyword).map(([, ...rest]) => rest);
  return {
    nameservers: all('nameserver').flatMap(([server]) => (server && !isLoopback(server) ? [server] : [])),
    searches: all('search').at(-1) ?? all('domain').at(-1) ?? [],
    options: all('options').flat(),
  };
}

/** Whether all that the text names is on the host's own loopback, as with systemd-resolved's stub. */
export function namesOnlyLoopback(text: string): boolean {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server]) => server ?? '');
  return servers.length > 0 && servers.every(isLoopback);
}

function isLoopback(server: string): boolean {
  const ip = parseIp(server);
  return ip?.family === 'ipv4' ? ip.value >> 24n === 127n : ip?.value === 1n;
}

const nameOf = (option: string): string => option.split(':', 1)[0] ?? option;

const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

/** `addresses` without their lengths. */
export const hostsFile = (pod: {
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly aliases?: readonly HostAlias[] | undefined;
}): string =>
  [
    '# Written by weft.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...pod.addresses.map((address) => `${address}\t${pod.hostname}`),
    ...(pod.aliases ?? []).map(({ address, names }) => `${address}\t${names.join('\t')}`),
    '',
  ].join('\n');
