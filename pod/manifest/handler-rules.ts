/** What the fields of hooks and probes say about one another. Pure: read fields in, faults out. */
import type { Fault, FieldPath } from '../../problem/problem.ts';
import type { ReadContainer, ReadHook, ReadProbe } from './schema.ts';

export interface Placed {
  readonly container: ReadContainer;
  readonly path: FieldPath;
}

export const placedAt = (container: ReadContainer, path: FieldPath): Placed => ({ container, path });

export function handlerFaults(hook: ReadHook | ReadProbe | undefined, { container, path }: Placed): Fault[] {
  if (!hook) return [];
  const { exec, httpGet } = hook;
  const tcpSocket = 'tcpSocket' in hook ? hook.tcpSocket : undefined;
  const sleep = 'sleep' in hook ? hook.sleep : undefined;
  const given = [exec, httpGet, tcpSocket, sleep].filter((handler) => handler !== undefined);
  const isProbe = path.at(-1) !== 'postStart' && path.at(-1) !== 'preStop';
  if (given.length !== 1) {
    return [{ path, text: `needs exactly one of exec, httpGet and ${isProbe ? 'tcpSocket' : 'sleep'}` }];
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
  return [{ path, text: `container ${container.name} has no port named ${JSON.stringify(port)}` }];
}

export function probeFaults(name: string, probe: ReadProbe | undefined, placed: Placed): Fault[] {
  if (!probe) return [];
  const isReadiness = name === 'readinessProbe';
  const faults = handlerFaults(probe, placed);
  if (!isReadiness && (probe.successThreshold ?? 1) !== 1) {
    faults.push({ path: [...placed.path, 'successThreshold'], text: 'must be 1' });
  }
  if (isReadiness && probe.terminationGracePeriodSeconds !== undefined) {
    const path = [...placed.path, 'terminationGracePeriodSeconds'];
    faults.push({ path, text: 'unsupported: a readiness probe does not end the container', inName: true });
  }
  return faults;
}
