/**
 * What only a running agent knows, as `/status` tells it: its version, its health, the lease's state, and its probes.
 * The commands add what they read from disk and kernel themselves.
 */
import * as z from 'zod/mini';
import { systemClock } from '../../clock/clock.ts';
import type { LeaseHolder } from '../lease/holder.ts';
import type { FamilyProbes } from '../probe/family-probes.ts';
import type { Health } from '../serve/health/health.ts';
import { json, type Routes } from '../serve/http.ts';
import { version } from '../version.ts';

const problem = z.object({
  code: z.string(),
  severity: z.enum(['error', 'warning']),
  text: z.string(),
  since: z.string(),
});

const probe = z.object({
  /** The peer's lease key. */
  peer: z.string(),
  family: z.enum(['ipv4', 'ipv6']),
  path: z.enum(['tunnel', 'direct']),
  reachable: z.boolean(),
  rttMs: z.optional(z.number()),
  /** Since a probe of the peer's own last arrived here. */
  heardSecondsAgo: z.optional(z.number()),
});

export const liveShape = z.object({
  version: z.string(),
  ready: z.boolean(),
  problems: z.array(problem),
  lease: z.optional(
    z.object({
      phase: z.string(),
      renewedSecondsAgo: z.optional(z.number()),
      reason: z.optional(z.string()),
    }),
  ),
  /** A whole list of the peers has been seen; absent: not known. */
  peersComplete: z.optional(z.boolean()),
  probes: z.array(probe),
});

export type LiveStatus = z.infer<typeof liveShape>;
export type StatusProblem = z.infer<typeof problem>;
export type PeerProbe = z.infer<typeof probe>;

/** Where the agent's parts register what they know, once they exist. */
export class AgentStatus {
  readonly #health: Health;
  #network: { readonly holder: LeaseHolder; readonly probes: FamilyProbes } | undefined;

  constructor(health: Health) {
    this.#health = health;
  }

  /** There is a lease, and peers are probed. */
  attach(network: { readonly holder: LeaseHolder; readonly probes: FamilyProbes }): void {
    this.#network = network;
  }

  report(): LiveStatus {
    const { ready, reasons, warnings } = this.#health;
    const { holder, probes } = this.#network ?? {};
    const confirmedMs = holder?.status.confirmedMs;
    return {
      version,
      ready,
      problems: [
        ...reasons.map((reason) => ({ ...reason, severity: 'error' as const })),
        ...warnings.map((warning) => ({ ...warning, severity: 'warning' as const })),
      ],
      lease: holder && {
        phase: holder.status.phase,
        renewedSecondsAgo: confirmedMs && Math.max(0, (systemClock.now() - confirmedMs) / 1000),
        reason: holder.status.reason,
      },
      peersComplete: holder?.peers.complete,
      probes: probes?.states() ?? [],
    };
  }
}

export const statusRoutes = (status: AgentStatus): Routes => ({
  '/status': () => json(200, status.report()),
});
