/** A manifest's fields, which are right, → the pod that they mean. Every default is Kubernetes'. */
import { bandwidthOf } from './bandwidth.ts';
import type { Container, Dns, Handler, HttpGet, Pod, Probe, PullPolicy, Volume } from './pod.ts';
import { parseQuantity } from './quantity.ts';
import type { ReadContainer, ReadHook, ReadHttpGet, ReadPod, ReadProbe } from './schema.ts';

export function podOf({ metadata, spec }: ReadPod): Pod {
  const annotations = metadata.annotations ?? {};
  return {
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    labels: metadata.labels ?? {},
    annotations,
    hostname: spec.hostname ?? metadata.name.slice(0, 63).replace(/[-.]+$/, ''),
    initContainers: (spec.initContainers ?? []).map(containerOf),
    containers: spec.containers.map(containerOf),
    restartPolicy: spec.restartPolicy ?? 'Always',
    volumes: (spec.volumes ?? []).map(volumeOf),
    dns: dnsOf(spec),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
    bandwidth: bandwidthOf(annotations),
  };
}

function containerOf(read: ReadContainer): Container {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = read;
  const portOf = (port: number | string): number =>
    typeof port === 'number' ? port : (read.ports?.find(({ name }) => name === port)?.containerPort ?? 0);
  const probes = { liveness: livenessProbe, readiness: readinessProbe, startup: startupProbe };
  return {
    name: read.name,
    image: read.image,
    pullPolicy: read.imagePullPolicy ?? pullPolicyOf(read.image),
    command: read.command,
    args: read.args,
    workingDir: read.workingDir,
    env: (read.env ?? [])
      // What cannot be had was warned of; an empty value would claim that it is empty.
      .filter(({ valueFrom }) => valueFrom === undefined || valueFrom.fieldRef)
      .map(({ name, value, valueFrom }) => ({
        name,
        value: value ?? '',
        field: valueFrom?.fieldRef?.fieldPath,
      })),
    ports: (read.ports ?? []).map(({ name, containerPort, hostPort, hostIP, protocol }) => ({
      name,
      containerPort,
      hostPort,
      hostIP: hostIP || undefined,
      protocol: protocol ?? 'TCP',
    })),
    mounts: (read.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => ({
      volume: name,
      path: mountPath,
      readOnly: readOnly ?? false,
    })),
    postStart: lifecycle?.postStart && hookOf(lifecycle.postStart, portOf),
    preStop: lifecycle?.preStop && hookOf(lifecycle.preStop, portOf),
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

/** An image by tag `latest`, or by none, is looked for anew each time. */
function pullPolicyOf(image: string): PullPolicy {
  if (image.includes('@')) return 'IfNotPresent';
  const [, tag = 'latest'] = /:([^:/]+)$/.exec(image) ?? [];
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function volumeOf({ name, emptyDir, hostPath }: NonNullable<ReadPod['spec']['volumes']>[number]): Volume {
  if (hostPath) return { kind: 'hostPath', name, path: hostPath.path, type: hostPath.type ?? '' };
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
