/** What one pass over the firewall did. */
export interface FirewallPass {
  /** What was changed, in words; empty where all stood as it should. */
  readonly done: readonly string[];
  /** What could not be had, with the reason. */
  readonly problems: readonly string[];
  /** When it should be looked at again, in milliseconds from now; undefined: when something happens. */
  readonly retryInMs?: number | undefined;
}
