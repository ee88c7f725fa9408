/** The verbs' requests, decoded and validated: what `attach/` is called with. */
import type { OpenedNames } from './call.ts';
import type { NetworkConfig } from './network.ts';
import type { CniResult } from './result.ts';

/** What a DEL, a CHECK and every record of ours is keyed by. */
export interface AttachmentKey {
  /** The network's name. */
  readonly network: string;
  readonly containerId: string;
  /** The interface's name in the pod: 1 to 15 bytes. */
  readonly ifname: string;
}

export interface AddRequest extends Traced {
  readonly attachment: AttachmentKey;
  /** The literal CNI_NETNS; not yet looked at. */
  readonly netns: string;
  /** What the caller has opened of the paths that it names; undefined where they are this process's own. */
  readonly opened?: OpenedNames | undefined;
  /** CNI_NETNS_OVERRIDE: the caller's own namespace is acceptable as the pod's. */
  readonly netnsOverride: boolean;
  readonly config: NetworkConfig;
  readonly pod: PodIdentity;
}

export interface CheckRequest extends AddRequest {
  /** What ADD answered, as later plugins of the chain may have changed it. */
  readonly prevResult: CniResult;
}

/** DEL carries hardly any configuration but the network's name: it works from our own record, also if the rest is wrong. */
export interface DelRequest extends Traced {
  readonly attachment: AttachmentKey;
  /** The literal CNI_NETNS; undefined if absent or empty. It may name nothing. */
  readonly netns: string | undefined;
  /** ipam.dataDir, if the configuration has one that can be read. */
  readonly hostLocalDir?: string | undefined;
  readonly opened?: OpenedNames | undefined;
  /** Undefined if absent or not understood. */
  readonly prevResult: CniResult | undefined;
}

export interface GcRequest extends Traced {
  readonly network: string;
  /** What of this network lives; everything else goes. Empty: nothing lives. */
  readonly validAttachments: readonly Omit<AttachmentKey, 'network'>[];
}

export interface StatusRequest extends Traced {
  readonly config: NetworkConfig;
}

/** What attach/ implements. A refusal is a thrown `CniError`; anything else thrown becomes code 999 with its text. */
export interface Verbs {
  /** Resolves to what was made by this call alone: a prevResult is merged in by the protocol. */
  add(request: AddRequest): Promise<CniResult>;
  del(request: DelRequest): Promise<void>;
  check(request: CheckRequest): Promise<void>;
  gc(request: GcRequest): Promise<void>;
  status(request: StatusRequest): Promise<void>;
}

/** Kubernetes' name for the pod (CNI_ARGS K8S_POD_*), for logs; every field may be missing. */
export interface PodIdentity {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
  readonly infraContainerId?: string | undefined;
}

export interface Traced {
  /** W3C trace context as the runtime passed it (TRACEPARENT, TRACESTATE, BAGGAGE), for logs. */
  readonly trace: Readonly<Record<string, string>>;
}
