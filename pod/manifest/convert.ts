/** A manifest's fields, which are right, → the pod that they mean. Every default is Kubernetes'. */
import { normalize } from 'node:path/posix';
import { bandwidthOf } from './bandwidth.ts';
import type { Objects } from './objects.ts';
import type { Container, Dns, Handler, HttpGet, Pod, Probe, PullPolicy, Volume } from './pod.ts';
import { parseQuantity } from './quantity.ts';
import { environmentEntries, filesIn, type Scope, volumeFiles } from './references.ts';
import { resourcesOf } from './resources.ts';
import type { ReadContainer, ReadHook, ReadHttpGet, ReadPod, ReadProbe, ReadVolume } from './schema.ts';
import { securityOf } from './security.ts';

export function podOf({ metadata, spec }: ReadPod, objects: Objects): Pod {
  const annotations = metadata.annotations ?? {};
  const namespace = metadata.namespace ?? 'default';
  const scope = { objects, namespace };
  const security = spec.securityContext;
  const container = (read: ReadContainer): Container => containerOf(read, scope, security);
  const sysctls = security?.sysctls?.map(({ name, value }) => [name, value]);
  return {
    namespace,
    name: metadata.name,
    labels: metadata.labels ?? {},
    annotations,
    hostname: spec.hostname ?? metadata.name.slice(0, 63).replace(/[-.]+$/, ''),
    initContainers: (spec.initContainers ?? []).map(container),
    containers: spec.containers.map(container),
    restartPolicy: spec.restartPolicy ?? 'Always',
    volumes: (spec.volumes ?? []).map((volume) => volumeOf(volume, scope)),
    dns: dnsOf(spec),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
    bandwidth: bandwidthOf(annotations),
    ...(spec.hostAliases?.length && {
      hostAliases: spec.hostAliases.map(({ ip, hostnames }) => ({ address: ip, names: hostnames ?? [] })),
    }),
    ...(security?.fsGroup !== undefined && { fsGroup: security.fsGroup }),
    ...(sysctls?.length && { sysctls: Object.fromEntries(sysctls) }),
  };
}

function containerOf(
  read: ReadContainer,
  scope: Scope,
  podSecurity: ReadPod['spec']['securityContext'],
): Container {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = read;
  const portOf = (port: number | string): number =>
    typeof port === 'number' ? port : (read.ports?.find(({ name }) => name === port)?.containerPort ?? 0);
  const security = securityOf(podSecurity, read.securityContext);
  const resources = resourcesOf(read.resources);
  const probes = { liveness: livenessProbe, readiness: readinessProbe, startup: startupProbe };
  return {
    name: read.name,
    image: read.image,
    pullPolicy: read.imagePullPolicy ?? pullPolicyOf(read.image),
    // An empty list is the same as none: the image's holds.
    command: read.command?.length ? read.command : undefined,
    args: read.args?.length ? read.args : undefined,
    workingDir: read.workingDir,
    env: environmentEntries(read, scope),
    ports: (read.ports ?? []).map(({ name, containerPort, hostPort, hostIP, protocol }) => ({
      name,
      containerPort,
      hostPort,
      hostIP: hostIP || undefined,
      protocol: protocol ?? 'TCP',
    })),
    mounts: (read.volumeMounts ?? []).map(({ name, mountPath, readOnly, subPath }) => ({
      volume: name,
      path: mountPath,
      readOnly: readOnly ?? false,
      ...(subPath && { subPath: normalize(subPath).replace(/\/+$/, '') }),
    })),
    postStart: lifecycle?.postStart && hookOf(lifecycle.postStart, portOf),
    preStop: lifecycle?.preStop && hookOf(lifecycle.preStop, portOf),
    ...(security && { security }),
    ...(resources && { resources }),
    ...(read.restartPolicy && { restartPolicy: read.restartPolicy }),
    probes: Object.fromEntries(
      Object.entries(probes).flatMap(([kind, probe]) => (probe ? [[kind, probeOf(probe, portOf)]] : [])),
    ),
  };
}

type PortOf = (port: number | string) => number;

function hookOf({ exec, httpGet, sleep }: ReadHook, portOf: PortOf): Handler | undefined {
  if (exec) return { kind: 'exec', command: exec.command };
  if (httpGet) return httpOf(httpGet, portOf);
  return sleep && { kind: 'sleep', seconds: sleep.seconds };
}

function probeOf(read: ReadProbe, portOf: PortOf): Probe | undefined {
  const { exec, httpGet, tcpSocket } = read;
  const handler = exec
    ? { kind: 'exec' as const, command: exec.command }
    : httpGet
      ? httpOf(httpGet, portOf)
      : tcpSocket && {
          kind: 'tcp' as const,
          host: tcpSocket.host || undefined,
          port: portOf(tcpSocket.port),
        };
  return (
    handler && {
      handler,
      initialDelaySeconds: read.initialDelaySeconds ?? 0,
      periodSeconds: read.periodSeconds ?? 10,
      timeoutSeconds: read.timeoutSeconds ?? 1,
      successThreshold: read.successThreshold ?? 1,
      failureThreshold: read.failureThreshold ?? 3,
      graceSeconds: read.terminationGracePeriodSeconds,
    }
  );
}

const httpOf = (read: ReadHttpGet, portOf: PortOf): HttpGet => ({
  kind: 'http',
  host: read.host || undefined,
  port: portOf(read.port),
  path: read.path?.startsWith('/') ? read.path : `/${read.path ?? ''}`,
  scheme: read.scheme ?? 'HTTP',
  headers: read.httpHeaders ?? [],
});

/** An image with the tag `latest`, or without a tag, is pulled each time. */
function pullPolicyOf(image: string): PullPolicy {
  if (image.includes('@')) return 'IfNotPresent';
  const [, tag = 'latest'] = /:([^:/]+)$/.exec(image) ?? [];
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** A volume of no kind is an emptyDir, as Kubernetes' defaults have it. */
function volumeOf(read: ReadVolume, scope: Scope): Volume {
  const { name, emptyDir, hostPath } = read;
  if (hostPath) return { kind: 'hostPath', name, path: hostPath.path, type: hostPath.type ?? '' };
  const files = filesIn(read);
  if (files) return { kind: 'files', name, files: volumeFiles(files, scope) };
  const size = emptyDir?.sizeLimit;
  return {
    kind: 'emptyDir',
    name,
    memory: emptyDir?.medium === 'Memory',
    sizeBytes: size === undefined ? undefined : parseQuantity(String(size)),
  };
}

const dnsOf = ({ dnsPolicy, dnsConfig }: ReadPod['spec']): Dns => ({
  inheritsHost: dnsPolicy !== 'None',
  nameservers: dnsConfig?.nameservers ?? [],
  searches: dnsConfig?.searches ?? [],
  options: (dnsConfig?.options ?? []).map(({ name, value }) => (value ? `${name}:${value}` : name)),
});
