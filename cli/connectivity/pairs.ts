/** Every pod pings every other, with small packets and with the largest that must pass whole. */
import { eachInParallel } from '../../lab/command.ts';
import type { Place } from './place.ts';

export interface Pair {
  readonly from: Place;
  readonly to: Place;
  readonly address: string;
}

export interface PairResult {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** `large`: small packets pass, those of `bytes` do not. */
  readonly outcome: 'ok' | 'large' | 'lost';
  /** Of the large packets, as IP counts. */
  readonly bytes: number;
}

/** Pings under way at one time. */
const AT_ONCE = 12;

/** Both ways, in every family that both have. */
export const pairsOf = (places: readonly Place[]): Pair[] =>
  places.flatMap((from) =>
    places
      .filter((to) => to !== from)
      .flatMap((to) =>
        to.addresses
          .filter((address) => from.addresses.some((own) => isIpv6(own) === isIpv6(address)))
          .map((address) => ({ from, to, address })),
      ),
  );

export const testPairs = (pairs: readonly Pair[]): Promise<PairResult[]> =>
  eachInParallel(pairs, AT_ONCE, async ({ from, to, address }) => {
    const bytes = Math.min(from.mtuBytes, to.mtuBytes);
    const ping = async (...more: readonly string[]): Promise<boolean> =>
      (await from.exec(['ping', '-n', '-q', '-c', '2', '-i', '0.2', '-W', '2', ...more, address])).status ===
      0;
    const outcome = !(await ping())
      ? 'lost'
      : (await ping('-M', 'do', '-s', String(bytes - headerBytes(address))))
        ? 'ok'
        : 'large';
    return { from: from.node, to: to.node, address, outcome, bytes };
  });

const isIpv6 = (address: string): boolean => address.includes(':');

/** IPv6 and ICMPv6, IPv4 and ICMP. */
const headerBytes = (address: string): number => (isIpv6(address) ? 48 : 28);
