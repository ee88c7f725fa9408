/** resolv.conf as a result's dns (resolv.conf(5); host-local's `resolvConf`, plugins/ipam/host-local/dns.go). */
import { readFileSync } from 'node:fs';
import { CniError } from '../errors.ts';
import type { OpenedName } from '../protocol/call.ts';
import type { CniDns } from '../protocol/result.ts';

/**
 * `opened`: the file as the caller has opened it, where the path is the caller's and not this process's.
 *
 * @throws CniError invalid-config where the file cannot be read.
 */
export function readResolvConf(path: string, opened?: OpenedName): CniDns {
  try {
    if (opened && 'failed' in opened) throw new Error('the plugin could not open it');
    return parseResolvConf(readFileSync(opened?.fd ?? path, 'utf8'));
  } catch (error) {
    throw new CniError(
      'invalid-config',
      `failed to read ipam.resolvConf ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** Comments start with `#` or `;`; the last `search` and the last `domain` count, servers and options add up. */
export function parseResolvConf(text: string): CniDns {
  const nameservers: string[] = [];
  const options: string[] = [];
  let domain: string | undefined;
  let search: string[] = [];
  for (const line of text.split('\n')) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === 'nameserver') nameservers.push(...values.slice(0, 1));
    else if (key === 'domain') domain = values[0];
    else if (key === 'search') search = values;
    else if (key === 'options') options.push(...values);
  }
  return { nameservers, domain, search, options };
}
