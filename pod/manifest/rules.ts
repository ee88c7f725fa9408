/** What the fields of a manifest say about one another. Pure: read fields in, faults out. */
import { parseIp } from '../../inet/ip.ts';
import type { Fault, FieldPath } from '../../problem/problem.ts';
import { bandwidthKeys, readBandwidth } from './bandwidth.ts';
import { isKnownField } from './fields.ts';
import type { ReadContainer, ReadHook, ReadPod, ReadProbe } from './schema.ts';

export function faultsBetween({ metadata, spec }: ReadPod): Fault[] {
  const placed = [
    ...(spec.initContainers ?? []).map((container, i) => placedAt(container, ['spec', 'initContainers', i])),
    ...spec.containers.map((container, i) => placedAt(container, ['spec', 'containers', i])),
  ];
  const volumes = spec.volumes ?? [];
  const names = volumes.map(({ name }) => name);
  return [
    ...doubled(placed.map(({ container, path }) => ({ key: container.name, path: [...path, 'name'] }))),
    ...doubled(names.map((name, i) => ({ key: name, path: ['spec', 'volumes', i, 'name'] }))),
    ...volumes.flatMap((volume, i) => {
      const path: FieldPath = ['spec', 'volumes', i];
      const kinds = [volume.emptyDir, volume.hostPath].filter((kind) => kind !== undefined);
      return kinds.length === 1 ? [] : [{ path, text: 'give it either emptyDir or hostPath' }];
    }),
    ...placed.flatMap(({ container, path }) => containerFaults(container, path, names)),
    ...(spec.initContainers ?? []).flatMap((container, i) =>
      initFaults(container, ['spec', 'initContainers', i]),
    ),
    ...portFaults(spec.containers),
    ...dnsFaults(spec),
    ...annotationFaults(metadata.annotations ?? {}),
  ];
}

interface Placed {
  readonly container: ReadContainer;
  readonly path: FieldPath;
}

const placedAt = (container: ReadContainer, path: FieldPath): Placed => ({ container, path });

/** A fault for each that has the key of an earlier one. */
function doubled(entries: readonly { key: string; path: FieldPath; what?: string }[]): Fault[] {
  const seen = new Set<string>();
  return entries.flatMap(({ key, path, what = JSON.stringify(key) }) => {
    if (seen.has(key)) return [{ path, text: `${what} is there twice` }];
    seen.add(key);
    return [];
  });
}

function containerFaults(container: ReadContainer, path: FieldPath, volumes: readonly string[]): Fault[] {
  const {
    volumeMounts = [],
    env = [],
    ports = [],
    lifecycle,
    livenessProbe,
    startupProbe,
    readinessProbe,
  } = container;
  const probes = { livenessProbe, startupProbe, readinessProbe };
  return [
    ...volumeMounts.flatMap(({ name }, i) =>
      volumes.includes(name)
        ? []
        : [
            {
              path: [...path, 'volumeMounts', i, 'name'],
              text: `there is no volume ${name} under spec.volumes`,
            },
          ],
    ),
    ...doubled(
      volumeMounts.map(({ mountPath }, i) => ({
        key: mountPath,
        path: [...path, 'volumeMounts', i, 'mountPath'],
      })),
    ),
    ...env.flatMap((entry, i) => envFaults(entry, [...path, 'env', i])),
    ...ports.flatMap(({ hostIP }, i) =>
      hostIP === undefined || hostIP === '' || parseIp(hostIP)
        ? []
        : [{ path: [...path, 'ports', i, 'hostIP'], text: `${JSON.stringify(hostIP)} is not an IP address` }],
    ),
    ...(['postStart', 'preStop'] as const).flatMap((name) =>
      handlerFaults(lifecycle?.[name], { container, path: [...path, 'lifecycle', name] }),
    ),
    ...Object.entries(probes).flatMap(([name, probe]) =>
      probeFaults(name, probe, { container, path: [...path, name] }),
    ),
  ];
}

function initFaults(container: ReadContainer, path: FieldPath): Fault[] {
  const fields = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const;
  return fields
    .filter((field) => container[field] !== undefined)
    .map((field) => ({
      path: [...path, field],
      text: 'an init container runs to its end and has none',
      inName: true,
    }));
}

function envFaults(entry: NonNullable<ReadContainer['env']>[number], path: FieldPath): Fault[] {
  const field = entry.valueFrom?.fieldRef?.fieldPath;
  if (!/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(entry.name)) {
    return [{ path: [...path, 'name'], text: `${JSON.stringify(entry.name)} cannot name a variable` }];
  }
  if (entry.valueFrom && entry.value) return [{ path, text: 'give it either value or valueFrom' }];
  if (field === undefined || isKnownField(field)) return [];
  const known =
    "metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, status.hostIP, status.podIP";
  return [
    {
      path: [...path, 'valueFrom', 'fieldRef', 'fieldPath'],
      text: `${field} is not to be had; there is ${known}`,
    },
  ];
}

function handlerFaults(hook: ReadHook | ReadProbe | undefined, { container, path }: Placed): Fault[] {
  if (!hook) return [];
  const { exec, httpGet } = hook;
  const tcpSocket = 'tcpSocket' in hook ? hook.tcpSocket : undefined;
  const sleep = 'sleep' in hook ? hook.sleep : undefined;
  const given = [exec, httpGet, tcpSocket, sleep].filter((handler) => handler !== undefined);
  const isProbe = path.at(-1) !== 'postStart' && path.at(-1) !== 'preStop';
  if (given.length !== 1) {
    return [{ path, text: `give it exactly one of exec, httpGet and ${isProbe ? 'tcpSocket' : 'sleep'}` }];
  }
  if (exec?.command.length === 0) return [{ path: [...path, 'exec', 'command'], text: 'is empty' }];
  return [
    ...portNameFaults(httpGet?.port, container, [...path, 'httpGet', 'port']),
    ...portNameFaults(tcpSocket?.port, container, [...path, 'tcpSocket', 'port']),
  ];
}

function portNameFaults(
  port: number | string | undefined,
  container: ReadContainer,
  path: FieldPath,
): Fault[] {
  if (typeof port !== 'string') return [];
  if (container.ports?.some(({ name }) => name === port)) return [];
  return [
    { path, text: `the container ${container.name} has no port that is named ${JSON.stringify(port)}` },
  ];
}

function probeFaults(name: string, probe: ReadProbe | undefined, placed: Placed): Fault[] {
  if (!probe) return [];
  const isReadiness = name === 'readinessProbe';
  const faults = handlerFaults(probe, placed);
  if (!isReadiness && (probe.successThreshold ?? 1) !== 1) {
    faults.push({ path: [...placed.path, 'successThreshold'], text: 'has to be 1 here' });
  }
  if (isReadiness && probe.terminationGracePeriodSeconds !== undefined) {
    const path = [...placed.path, 'terminationGracePeriodSeconds'];
    faults.push({ path, text: 'readiness ends no container', inName: true });
  }
  return faults;
}

/** The containers of a pod have one network: one port can be listened on once. */
function portFaults(containers: readonly ReadContainer[]): Fault[] {
  const ports = containers.flatMap((container, i) =>
    (container.ports ?? []).map((port, j) => ({
      ...port,
      container,
      path: ['spec', 'containers', i, 'ports', j],
    })),
  );
  const byPort = new Map<string, string>();
  const shared = ports.flatMap(({ containerPort, protocol = 'TCP', container, path }) => {
    const key = `${containerPort}/${protocol}`;
    const other = byPort.get(key);
    byPort.set(key, other ?? container.name);
    if (other === undefined || other === container.name) return [];
    return [
      {
        path: [...path, 'containerPort'],
        text: `${key} is the container ${other}'s already, and the containers of a pod have one network: choose another port`,
      },
    ];
  });
  const onHost = ports.flatMap(({ hostPort, hostIP, protocol = 'TCP', path }) => {
    if (hostPort === undefined) return [];
    const key = `${hostIP || '*'} ${hostPort}/${protocol}`;
    return [{ key, path: [...path, 'hostPort'], what: `host port ${hostPort}/${protocol}` }];
  });
  return [...shared, ...doubled(onHost)];
}

const mostNameservers = 3;
const mostSearches = 32;

function dnsFaults({ dnsPolicy, dnsConfig }: ReadPod['spec']): Fault[] {
  const { nameservers = [], searches = [] } = dnsConfig ?? {};
  const faults: Fault[] = nameservers.flatMap((server, i) =>
    parseIp(server)
      ? []
      : [
          {
            path: ['spec', 'dnsConfig', 'nameservers', i],
            text: `${JSON.stringify(server)} is not an IP address`,
          },
        ],
  );
  if (dnsPolicy === 'None' && nameservers.length === 0) {
    faults.push({ path: ['spec', 'dnsPolicy'], text: 'None needs dnsConfig.nameservers: name at least one' });
  }
  if (nameservers.length > mostNameservers) {
    faults.push({
      path: ['spec', 'dnsConfig', 'nameservers'],
      text: `at most ${mostNameservers} are used: remove some`,
    });
  }
  if (searches.length > mostSearches) {
    faults.push({
      path: ['spec', 'dnsConfig', 'searches'],
      text: `at most ${mostSearches} are used: remove some`,
    });
  }
  return faults;
}

function annotationFaults(annotations: Readonly<Record<string, string>>): Fault[] {
  return Object.values(bandwidthKeys).flatMap((key) => {
    const text = annotations[key];
    if (text === undefined || readBandwidth(text) !== undefined) return [];
    return [
      {
        path: ['metadata', 'annotations', key],
        text: `${JSON.stringify(text)} is no bandwidth from 1k to 1P, in bits per second; write it like 10M`,
      },
    ];
  });
}
