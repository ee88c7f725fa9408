/** The texts a configuration is made of, each turned into its value or refused with the remedy. */
import { isAbsolute, normalize } from 'node:path';
import IPCIDR from 'ip-cidr';
import * as z from 'zod/mini';
import { type Cidr, firstIp, networkOf, parseCidr, parseInterfaceAddress } from '../../inet/cidr.ts';
import { type Family, formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import { expected } from '../../problem/explain.ts';

/** A text's value, or why it is none. */
export type Reading<T> = { readonly value: T } | { readonly refusal: string };

/** A schema for text that `read` understands; `what` names it where something else is found. */
export function text<T>(what: string, read: (text: string) => Reading<T>) {
  return z.pipe(
    z.string({ error: expected(what) }),
    z.transform((input: string, context): T => {
      const reading = read(input);
      if ('value' in reading) return reading.value;
      context.issues.push({ code: 'custom', input, message: reading.refusal });
      return z.NEVER;
    }),
  );
}

const quoted = (value: string): string => JSON.stringify(value);

/** A network; a text with host bits is refused with the network that was probably meant. */
export function readCidr(input: string): Reading<Cidr> {
  const parsed = parseInterfaceAddress(input);
  if (!parsed || !IPCIDR.isValidCIDR(input)) {
    return { refusal: `${quoted(input)} is not a network; write ADDRESS/LENGTH, for example 10.244.0.0/16` };
  }
  const value = parseCidr(input);
  if (value) return { value };
  const meant = formatIp(firstIp(networkOf(parsed.address, parsed.length)));
  return {
    refusal: `${input} has bits set beyond /${parsed.length}; the network is ${meant}/${parsed.length}`,
  };
}

export const cidrText = text('a network such as 10.244.0.0/16', readCidr);

export const cidrTextOf = (family: Family, example: string, other: string) =>
  text(`a network such as ${example}`, (input) => {
    const reading = readCidr(input);
    if ('value' in reading && reading.value.family !== family) {
      return { refusal: `${input} is not ${family === 'ipv4' ? 'IPv4' : 'IPv6'}; give it as ${other}` };
    }
    return reading;
  });

export function readIp(input: string): Reading<Ip> {
  const value = parseIp(input);
  return value
    ? { value }
    : {
        refusal: `${quoted(input)} is not an IP address; write it without length or zone, like 192.168.188.101`,
      };
}

export const ipText = text('an IP address', readIp);

/** An address that other hosts can send to: neither loopback nor link-local, multicast or unspecified. */
export const hostIpText = text('an IP address', (input) => {
  const reading = readIp(input);
  if ('refusal' in reading) return reading;
  const kind = unreachableKind(reading.value);
  return kind ? { refusal: `${input} is ${kind}; give an address that the other nodes can reach` } : reading;
});

/** Why no other host can send to it, if so: "a loopback address". */
export function unreachableKind(address: Ip): string | undefined {
  return unreachable.find(({ prefix }) => prefix.family === address.family && covers(prefix, address))?.kind;
}

/** Networks in which no address belongs to one host as seen by others (RFC 6890, RFC 4291). */
export const unreachable: readonly { prefix: Cidr; kind: string }[] = (
  [
    ['0.0.0.0/8', 'no host address (0.0.0.0/8)'],
    ['127.0.0.0/8', 'a loopback address'],
    ['169.254.0.0/16', 'a link-local address'],
    ['224.0.0.0/4', 'a multicast address'],
    ['240.0.0.0/4', 'reserved (240.0.0.0/4)'],
    ['::/127', 'the unspecified or the loopback address'],
    ['::ffff:0:0/96', 'an IPv4-mapped address'],
    ['fe80::/10', 'a link-local address'],
    ['ff00::/8', 'a multicast address'],
  ] as const
).flatMap(([prefix, kind]) => {
  const parsed = parseCidr(prefix);
  return parsed ? [{ prefix: parsed, kind }] : [];
});

const covers = (prefix: Cidr, address: Ip): boolean => networkOf(address, prefix.length).base === prefix.base;

export const pathText = text('an absolute path', (input) =>
  isAbsolute(input) && !input.includes('\0')
    ? { value: normalize(input).replace(/(?<=.)\/$/, '') }
    : { refusal: `${quoted(input)} is not an absolute path; begin it with /` },
);

const durationUnits: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A duration in seconds: `90s`, `10m`, `24h`, `7d`. */
export const durationText = (limits: { atLeastSeconds: number; atMostSeconds: number }) =>
  text('a duration such as 24h', (input) => {
    const [, digits = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(input) ?? [];
    const seconds = Number(digits) * (durationUnits[unit] ?? 0);
    if (unit === '') return { refusal: `${quoted(input)} is not a duration; write 90s, 10m, 24h or 7d` };
    if (seconds < limits.atLeastSeconds || seconds > limits.atMostSeconds) {
      return { refusal: `${input} is not between ${limits.atLeastSeconds}s and ${limits.atMostSeconds}s` };
    }
    return { value: seconds };
  });
