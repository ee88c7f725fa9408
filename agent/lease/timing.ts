/** How often and how long; everything that a test or an operator may want otherwise. */
export interface LeaseTiming {
  /** How long a record outlives its node's last renewal. */
  readonly ttlSeconds: number;
  /** How often it is renewed: no write, whatever the TTL. */
  readonly renewSeconds: number;
  /** How long a peer's lease is still served after it ended, unless it was given back. */
  readonly graceSeconds: number;
  /** How long a subnet that was given back is kept from other nodes. */
  readonly cooldownSeconds: number;
  readonly relistSeconds: number;
}

export const defaultTiming: LeaseTiming = {
  ttlSeconds: 86_400,
  renewSeconds: 10,
  graceSeconds: 10,
  cooldownSeconds: 60,
  relistSeconds: 3600,
};

/** Of what the store promises, this part is counted on: clocks of two machines differ by less in a day. */
export const trustedPart = 0.99;
