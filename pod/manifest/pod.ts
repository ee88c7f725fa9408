/**
 * A pod as weft runs it: a Kubernetes Pod (core/v1) with every default filled in and every name resolved. Plain
 * data, so that it can be written down, compared and read again.
 */
import { PodError } from '../errors.ts';
import { type PodKey, parseKey } from './key.ts';
import type { Resources } from './resources.ts';
import type { Security } from './security.ts';

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostname: string;
  /** In the order in which they are run, one after another, before the containers. */
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly restartPolicy: RestartPolicy;
  readonly volumes: readonly Volume[];
  readonly dns: Dns;
  /** From the wish that a container ends to SIGKILL. */
  readonly graceSeconds: number;
  readonly bandwidth: Bandwidth;
  readonly hostAliases?: readonly HostAlias[];
  /** The group that owns the pod's own volumes. */
  readonly fsGroup?: number;
  /** Of the pod's network and IPC namespaces. */
  readonly sysctls?: Readonly<Record<string, string>>;
}

export interface HostAlias {
  readonly address: string;
  readonly names: readonly string[];
}

export const restartPolicies = ['Always', 'OnFailure', 'Never'] as const;
export type RestartPolicy = (typeof restartPolicies)[number];

export const pullPolicies = ['Always', 'IfNotPresent', 'Never'] as const;
export type PullPolicy = (typeof pullPolicies)[number];

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly pullPolicy: PullPolicy;
  /** In place of the image's entry point. */
  readonly command: readonly string[] | undefined;
  /** In place of the image's command. */
  readonly args: readonly string[] | undefined;
  readonly workingDir: string | undefined;
  readonly env: readonly EnvEntry[];
  readonly ports: readonly Port[];
  readonly mounts: readonly Mount[];
  readonly postStart: Handler | undefined;
  readonly preStop: Handler | undefined;
  readonly probes: Readonly<Partial<Record<ProbeKind, Probe>>>;
  readonly security?: Security;
  readonly resources?: Resources;
  /** Of an init container: it is a sidecar, and runs as long as the pod. */
  readonly restartPolicy?: 'Always' | undefined;
}

export const isSidecar = ({ restartPolicy }: Container): boolean => restartPolicy === 'Always';

/** What is probed, and what may have host ports: the containers and the sidecars. */
export const lastingOf = ({ initContainers, containers }: Pod): Container[] => [
  ...initContainers.filter(isSidecar),
  ...containers,
];

export interface EnvEntry {
  readonly name: string;
  /** May refer to earlier ones as `$(NAME)`. */
  readonly value: string;
  /** In place of the value: a field of the pod (`metadata.name`, `status.podIP`, `metadata.labels['app']`). */
  readonly field: string | undefined;
  /** The value is a ConfigMap's or Secret's, and refers to nothing. */
  readonly literal?: true;
}

export const protocols = ['TCP', 'UDP', 'SCTP'] as const;

export interface Port {
  readonly name: string | undefined;
  readonly containerPort: number;
  readonly hostPort: number | undefined;
  /** Any address of the host where it is absent. */
  readonly hostIP: string | undefined;
  readonly protocol: (typeof protocols)[number];
}

export interface Mount {
  readonly volume: string;
  readonly path: string;
  readonly readOnly: boolean;
  /** A folder or file within the volume. */
  readonly subPath?: string;
}

export type Volume =
  | {
      readonly kind: 'emptyDir';
      readonly name: string;
      readonly memory: boolean;
      /** Enforced where it is in memory. */
      readonly sizeBytes: number | undefined;
    }
  | { readonly kind: 'hostPath'; readonly name: string; readonly path: string; readonly type: HostPathType }
  | {
      /** Of a ConfigMap or a Secret. */
      readonly kind: 'files';
      readonly name: string;
      readonly files: readonly VolumeFile[];
    };

export interface VolumeFile {
  /** Relative, without `..`. */
  readonly path: string;
  readonly mode: number;
  /** Base64. */
  readonly content: string;
}

/** `''`: as it is, a new folder if there is nothing. */
export const hostPathTypes = [
  '',
  'DirectoryOrCreate',
  'Directory',
  'FileOrCreate',
  'File',
  'Socket',
  'CharDevice',
  'BlockDevice',
] as const;
export type HostPathType = (typeof hostPathTypes)[number];

export interface Dns {
  /** Whether the host's resolv.conf is what everything below is added to. */
  readonly inheritsHost: boolean;
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** `ndots:5`, `edns0`. */
  readonly options: readonly string[];
}

export interface Bandwidth {
  /** What the pod receives, bits per second. */
  readonly ingressBits: number | undefined;
  /** What the pod sends, bits per second. */
  readonly egressBits: number | undefined;
}

export type Handler =
  | { readonly kind: 'exec'; readonly command: readonly string[] }
  | HttpGet
  /** `host` undefined: the pod's address. */
  | { readonly kind: 'tcp'; readonly host: string | undefined; readonly port: number }
  | { readonly kind: 'sleep'; readonly seconds: number };

export interface HttpGet {
  readonly kind: 'http';
  /** Undefined: the pod's address. */
  readonly host: string | undefined;
  readonly port: number;
  readonly path: string;
  readonly scheme: 'HTTP' | 'HTTPS';
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export const probeKinds = ['startup', 'liveness', 'readiness'] as const;
export type ProbeKind = (typeof probeKinds)[number];

export interface Probe {
  readonly handler: Exclude<Handler, { kind: 'sleep' }>;
  readonly initialDelaySeconds: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
  /** In place of the pod's, where this probe's failure ends the container. */
  readonly graceSeconds: number | undefined;
}

/** @throws Error where the names are not those that a manifest may give */
export function keyOf({ namespace, name }: Pick<Pod, 'namespace' | 'name'>): PodKey {
  const key = parseKey(`${namespace}_${name}`);
  if (key === undefined) throw new PodError('manifest', `invalid pod name ${namespace}/${name}`);
  return key;
}

/** What a pod is called to people: the default namespace goes without saying. */
export const titleOf = ({ namespace, name }: Pick<Pod, 'namespace' | 'name'>): string =>
  namespace === 'default' ? name : `${namespace}/${name}`;
