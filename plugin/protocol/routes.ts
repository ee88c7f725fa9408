/** Routes and DNS settings, which configuration and results write alike. */
import { CniError } from '../errors.ts';
import { asString, Fields } from './fields.ts';
import type { CniDns, CniRoute } from './result.ts';
import { asDestination, asIp } from './scalars.ts';

export function decodeRoute(value: unknown, path: string): CniRoute {
  const fields = Fields.of(value, path);
  const gw = fields.string('gw');
  return {
    dst: asDestination(fields.raw('dst') ?? '', fields.at('dst')),
    gw: gw === undefined ? undefined : asIp(gw, fields.at('gw')),
    mtu: unsigned(fields, 'mtu'),
    advmss: unsigned(fields, 'advmss'),
    priority: unsigned(fields, 'priority'),
    table: unsigned(fields, 'table'),
    scope: unsigned(fields, 'scope', 255),
  };
}

/** The kernel has 32 bits for it, or less. */
function unsigned(fields: Fields, key: string, most = 2 ** 32 - 1): number | undefined {
  const value = fields.integer(key);
  if (value === undefined || (value >= 0 && value <= most)) return value;
  throw new CniError('invalid-config', `${fields.at(key)} must be from 0 to ${most}, not ${value}`);
}

/** `{nameservers, domain, search, options}`; undefined if nothing is set in it. */
export function decodeDns(fields: Fields | undefined): CniDns | undefined {
  if (!fields) return undefined;
  return unlessEmpty({
    nameservers: fields.list('nameservers', asString),
    domain: fields.string('domain'),
    search: fields.list('search', asString),
    options: fields.list('options', asString),
  });
}

/** The capability's spelling: `{servers, searches, options}`. */
export function decodeRuntimeDns(fields: Fields | undefined): CniDns | undefined {
  if (!fields) return undefined;
  return unlessEmpty({
    nameservers: fields.list('servers', asString),
    search: fields.list('searches', asString),
    options: fields.list('options', asString),
  });
}

export const isEmptyDns = (dns: CniDns): boolean =>
  !dns.domain && dns.nameservers.length + dns.search.length + dns.options.length === 0;

const unlessEmpty = (dns: CniDns): CniDns | undefined => (isEmptyDns(dns) ? undefined : dns);
