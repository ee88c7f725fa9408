/** What the fields of a manifest say about one another. Pure: read fields in, faults out. */
import { parseIp } from '../../inet/ip.ts';
import type { Fault, FieldPath } from '../../problem/problem.ts';
import { bandwidthKeys, readBandwidth } from './bandwidth.ts';
import { isKnownField } from './fields.ts';
import { handlerFaults, placedAt, probeFaults } from './handler-rules.ts';
import { parseKey } from './key.ts';
import type { Objects } from './objects.ts';
import { isVariable, referenceFaults, type Scope, volumeReferenceFaults } from './references.ts';
import { resourceFaults } from './resources.ts';
import type { ReadContainer, ReadPod, ReadVolume } from './schema.ts';
import { containerSecurityFaults, podSecurityFaults } from './security.ts';

export function faultsBetween({ metadata, spec }: ReadPod, objects: Objects): Fault[] {
  const scope = { objects, namespace: metadata.namespace ?? 'default' };
  const placed = [
    ...(spec.initContainers ?? []).map((container, i) => placedAt(container, ['spec', 'initContainers', i])),
    ...spec.containers.map((container, i) => placedAt(container, ['spec', 'containers', i])),
  ];
  const volumes = spec.volumes ?? [];
  const names = volumes.map(({ name }) => name);
  return [
    ...doubled(placed.map(({ container, path }) => ({ key: container.name, path: [...path, 'name'] }))),
    ...doubled(names.map((name, i) => ({ key: name, path: ['spec', 'volumes', i, 'name'] }))),
    ...volumes.flatMap((volume, i) => volumeFaults(volume, ['spec', 'volumes', i], scope)),
    ...placed.flatMap(({ container, path }) => [
      ...mountFaults(container, path, volumes),
      ...referenceFaults(container, path, scope),
      ...containerSecurityFaults(container.securityContext, [...path, 'securityContext']),
      ...resourceFaults(container.resources ?? {}, [...path, 'resources']),
    ]),
    ...podSecurityFaults(spec.securityContext, ['spec', 'securityContext']),
    ...keyFaults(metadata),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, i) =>
      parseIp(ip)
        ? []
        : [{ path: ['spec', 'hostAliases', i, 'ip'], text: `${JSON.stringify(ip)} is not an IP address` }],
    ),
    ...placed.flatMap(({ container, path }) => containerFaults(container, path)),
    ...(spec.initContainers ?? []).flatMap((container, i) =>
      initFaults(container, ['spec', 'initContainers', i]),
    ),
    ...portFaults(spec.containers),
    ...spec.containers.flatMap(({ restartPolicy }, i) =>
      restartPolicy === undefined
        ? []
        : [
            {
              path: ['spec', 'containers', i, 'restartPolicy'],
              text: "unsupported: the pod's spec.restartPolicy holds for all containers",
              inName: true,
            },
          ],
    ),
    ...dnsFaults(spec),
    ...annotationFaults(metadata.annotations ?? {}),
  ];
}

/** A fault for each that has the key of an earlier one. */
function doubled(entries: readonly { key: string; path: FieldPath; what?: string }[]): Fault[] {
  const seen = new Set<string>();
  return entries.flatMap(({ key, path, what = JSON.stringify(key) }) => {
    if (seen.has(key)) return [{ path, text: `duplicate ${what}` }];
    seen.add(key);
    return [];
  });
}

/** The pod's names become the name of a file. */
function keyFaults({ namespace = 'default', name }: ReadPod['metadata']): Fault[] {
  if (parseKey(`${namespace}_${name}`) !== undefined) return [];
  return [
    { path: ['metadata', 'name'], text: 'is too long: namespace and name may have 219 letters together' },
  ];
}

const volumeKinds = ['emptyDir', 'hostPath', 'configMap', 'secret'] as const;

function volumeFaults(volume: ReadVolume, path: FieldPath, scope: Scope): Fault[] {
  const kinds = volumeKinds.filter((kind) => volume[kind] !== undefined);
  if (kinds.length > 1) return [{ path, text: `has more than one source: ${kinds.join(', ')}` }];
  return volumeReferenceFaults(volume, path, scope);
}

function mountFaults(
  { volumeMounts = [] }: ReadContainer,
  path: FieldPath,
  volumes: readonly ReadVolume[],
): Fault[] {
  return volumeMounts.flatMap(({ name, subPath }, i) => {
    const at = [...path, 'volumeMounts', i];
    const volume = volumes.find((each) => each.name === name);
    if (!volume) return [{ path: [...at, 'name'], text: `volume ${name} not found under spec.volumes` }];
    // A container could replace a part of the path by a symbolic link to anywhere on the host.
    return subPath && volume.hostPath
      ? [{ path: [...at, 'subPath'], text: 'unsupported with hostPath: append it to hostPath.path' }]
      : [];
  });
}

function containerFaults(container: ReadContainer, path: FieldPath): Fault[] {
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

/** A sidecar has them. */
function initFaults(container: ReadContainer, path: FieldPath): Fault[] {
  if (container.restartPolicy === 'Always') return [];
  const fields = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const;
  return fields
    .filter((field) => container[field] !== undefined)
    .map((field) => ({
      path: [...path, field],
      text: 'unsupported on an init container that runs to its end; restartPolicy: Always makes it a sidecar',
      inName: true,
    }));
}

function envFaults(entry: NonNullable<ReadContainer['env']>[number], path: FieldPath): Fault[] {
  const field = entry.valueFrom?.fieldRef?.fieldPath;
  if (!isVariable(entry.name)) {
    return [{ path: [...path, 'name'], text: `${JSON.stringify(entry.name)} is not a variable's name` }];
  }
  if (entry.valueFrom && entry.value) return [{ path, text: 'has both value and valueFrom: remove one' }];
  if (field === undefined || isKnownField(field)) return [];
  const known =
    "metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], " +
    'spec.nodeName, status.hostIP, status.podIP';
  return [
    {
      path: [...path, 'valueFrom', 'fieldRef', 'fieldPath'],
      text: `unsupported field ${field} (supported: ${known})`,
    },
  ];
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
        text: `${key} is in use by container ${other}: the containers of a pod share one network, choose another port`,
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
        text: `${JSON.stringify(text)} is not a bandwidth from 1k to 1P, in bits per second; write it like 10M`,
      },
    ];
  });
}
