/** Through which proxy a server is reached: Go's rules (golang.org/x/net/http/httpproxy), as kubectl has them. */
import { BlockList, isIP } from 'node:net';
import { AccessError } from './errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Undefined: directly. Throws `AccessError` for a proxy that is neither http nor https. */
export function proxyFor(server: URL, env: Env): URL | undefined {
  const read = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  const name = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = read(name);
  if (text === '' || isExempt(server, read('NO_PROXY'))) return undefined;
  const url = text.includes('://') ? text : `http://${text}`;
  const proxy = URL.canParse(url) ? new URL(url) : undefined;
  if (proxy && /^https?:$/.test(proxy.protocol)) return proxy;
  const shown = JSON.stringify(text.replace(/\/\/[^@/]*@/, '//'));
  throw new AccessError(`${name} ${shown} is unsupported; supported: http://HOST:PORT, https://HOST:PORT`);
}

/** Loopback, and what `noProxy` lists: `*`, names with their subdomains, addresses, networks; a port narrows each. */
function isExempt(server: URL, noProxy: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = server.port || (server.protocol === 'https:' ? '443' : '80');
  if (host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)) return true;
  return noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  const [, prefix, length] = /^([\d.:a-f]+)\/(\d+)$/.exec(entry) ?? [];
  const kind = isIP(host) === 6 ? 'ipv6' : 'ipv4';
  if (prefix !== undefined) {
    if (isIP(host) === 0 || isIP(prefix) !== isIP(host) || Number(length) > (kind === 'ipv6' ? 128 : 32)) {
      return false;
    }
    const list = new BlockList();
    list.addSubnet(prefix, Number(length), kind);
    return list.check(host, kind);
  }
  const [, bracketed, plain, given] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  const name = bracketed ?? plain ?? entry;
  if (given !== undefined && given !== port) return false;
  if (name.startsWith('*.') || name.startsWith('.')) return host.endsWith(name.replace(/^\*/, ''));
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}
