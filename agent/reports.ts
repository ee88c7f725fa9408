/** What the agent's parts know, as its health says it. */
import { systemClock } from '../clock/clock.ts';
import type { LeaseHolder, LeaseStatus } from './lease/holder.ts';
import type { FamilyProbes } from './probe/family-probes.ts';
import type { Health } from './serve/health/health.ts';

/** So many silent peers are called by their names. */
const SHOWN_PEERS = 5;

export function reportLease(health: Health, status: LeaseStatus): void {
  const { phase, deadlineMs, reason } = status;
  const text = reason ?? (phase === 'lost' ? 'this node has no subnet lease yet' : `the lease is ${phase}`);
  if (phase === 'away') health.bad('store', text);
  else health.good('store');
  if (phase === 'lost' || phase === 'left') health.bad('lease', text);
  else {
    const forMs = Math.max(0, deadlineMs - systemClock.now());
    health.good('lease', { forMs, otherwise: `subnet lease expired: ${text}` });
  }
}

/** `dropped`: sources of tunnel packets that the guard dropped lately; asked only where a peer is silent. */
export function reportPeers(health: Health, probes: FamilyProbes, dropped: () => readonly string[]): void {
  const silent = probes.silent();
  const check = 'check that weftd runs there and that UDP is not blocked';
  const narrow = 'check the MTU on the path; pods learn the smaller one meanwhile';
  const texts = [
    ...tellPeers('no answer to probes through the tunnel from', silent, check),
    ...(silent.length ? tellDropped(dropped()) : []),
    ...tellPeers('path MTU is reduced to', probes.narrow(), narrow),
  ];
  if (texts.length) health.bad('peers', texts.join('; '));
  else health.good('peers');
}

/** `problems`: what could not be had in the last pass, in words. */
export function reportEntries(health: Health, problems: readonly string[], { peers }: LeaseHolder): void {
  const wrong = [...problems, ...peers.problems.map(({ key, reason }) => `${key}: ${reason}`)];
  if (wrong.length) health.bad('entries', wrong.join('; '));
  else health.good('entries');
}

/** A peer whose packets come from an address that it has not announced is silent: NAT, or another interface. */
const tellDropped = (sources: readonly string[]): string[] =>
  sources.length === 0
    ? []
    : [
        `tunnel packets dropped from ${sources.slice(0, SHOWN_PEERS).join(', ')}, which no node has announced: ` +
          'if one of these is the source address of a silent peer, set publicIP or underlay there to announce it',
      ];

/** What is wrong with some peers, if there are any. */
function tellPeers(what: string, peers: readonly string[], remedy: string): string[] {
  if (peers.length === 0) return [];
  const more = peers.length > SHOWN_PEERS ? ` and ${peers.length - SHOWN_PEERS} more` : '';
  return [`${what} ${peers.slice(0, SHOWN_PEERS).join(', ')}${more}: ${remedy}`];
}
