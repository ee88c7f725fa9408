/** What the agent's health consists of. */

export interface Condition {
  /** The text before any part has reported; undefined: it holds until a part reports otherwise. */
  readonly initially?: string;
  /** The condition without which this one cannot hold: while that one does not, this one is not shown. */
  readonly cause?: string;
  /** `error`: no pods can be made. `warning`: they can. */
  readonly severity: 'error' | 'warning';
  /** What to do, unless the report says it. */
  readonly remedy?: string;
}

export const conditions = {
  store: {
    severity: 'error',
    initially: 'the store has not answered yet',
    remedy: 'check that the store runs and that this node reaches it',
  },
  lease: {
    severity: 'error',
    initially: 'this node has no subnet lease yet',
    cause: 'store',
    remedy: 'weftctl node list shows which node has which subnet',
  },
  overlay: { severity: 'error', initially: 'the first reconcile pass is not complete', cause: 'lease' },
  conflist: {
    severity: 'error',
    initially: 'the CNI configuration is not written yet',
    cause: 'overlay',
    remedy: 'make /etc/cni/net.d writable; the agent retries',
  },
  /** Something desired that the dataplane does not have. */
  entries: { severity: 'warning', cause: 'overlay' },
  /** Peers that do not answer probes, or not those of full size. */
  peers: { severity: 'warning', cause: 'overlay' },
} as const satisfies Readonly<Record<string, Condition>>;

export type ConditionCode = keyof typeof conditions;

export const codes = Object.keys(conditions) as ConditionCode[];

export const conditionOf = (code: ConditionCode): Condition & { readonly cause?: ConditionCode } =>
  conditions[code];
