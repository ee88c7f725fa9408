/** `resources` of a container (core/v1): its shape, and the limits that Docker is given. Pure. */
import * as z from 'zod/mini';
import type { Fault, FieldPath } from '../../problem/problem.ts';
import { parseQuantity, quantityOf } from './quantity.ts';

const quantity = z.union([z.string(), z.number()]);
const amounts = z.record(z.string(), quantity);

export const resourcesShape = z.strictObject({
  limits: z.optional(amounts),
  requests: z.optional(amounts),
});

export type ReadResources = z.output<typeof resourcesShape>;

/** An absent key is no limit. */
export interface Resources {
  /** 1e9 is one processor. */
  readonly cpuNanos?: number;
  /** The weight among containers that want more than there is: 1024 for a processor that is requested. */
  readonly cpuShares?: number;
  readonly memoryBytes?: number;
}

/** As the kubelet's `MilliCPUToShares`: at least 2, or the kernel takes it for the default. */
const sharesOf = (cpus: number): number => Math.min(262_144, Math.max(2, Math.floor(cpus * 1024)));

/** Undefined where nothing is limited. A request that is not given is the limit. */
export function resourcesOf(read: ReadResources | undefined): Resources | undefined {
  const amount = (of: 'limits' | 'requests', key: string): number | undefined => {
    const text = read?.[of]?.[key];
    return text === undefined ? undefined : quantityOf(String(text));
  };
  const cpu = amount('limits', 'cpu');
  const requested = amount('requests', 'cpu') ?? cpu;
  const memory = amount('limits', 'memory');
  const resources: Resources = {
    ...(cpu && { cpuNanos: Math.ceil(cpu * 1000) * 1e6 }),
    ...(requested !== undefined && { cpuShares: sharesOf(requested) }),
    ...(memory && { memoryBytes: Math.ceil(memory) }),
  };
  return Object.keys(resources).length > 0 ? resources : undefined;
}

/** Docker refuses less. */
const leastMemoryBytes = 6 * 2 ** 20;

export function resourceFaults({ limits = {}, requests = {} }: ReadResources, path: FieldPath): Fault[] {
  const malformed = (['limits', 'requests'] as const).flatMap((of) =>
    Object.entries(of === 'limits' ? limits : requests)
      .filter(([, value]) => !((parseQuantity(String(value)) ?? -1) >= 0))
      .map(([key, value]) => ({
        path: [...path, of, key],
        text: `${JSON.stringify(value)} is not a quantity; write it like 500m or 128Mi`,
      })),
  );
  if (malformed.length > 0) return malformed;
  const unsupported = Object.keys(limits)
    .filter((key) => key !== 'cpu' && key !== 'memory')
    .map((key) => ({
      path: [...path, 'limits', key],
      text: 'unsupported (supported: cpu, memory): remove it, the pod would run without that limit',
      inName: true,
    }));
  const larger = Object.entries(requests).flatMap(([key, value]) => {
    const limit = limits[key];
    const isLarger =
      limit !== undefined && (quantityOf(String(value)) ?? 0) > (quantityOf(String(limit)) ?? 0);
    return isLarger ? [{ path: [...path, 'requests', key], text: `is larger than the limit ${limit}` }] : [];
  });
  const memory = parseQuantity(String(limits.memory ?? ''));
  const small =
    memory !== undefined && memory > 0 && memory < leastMemoryBytes
      ? [{ path: [...path, 'limits', 'memory'], text: 'is less than the 6Mi that Docker needs' }]
      : [];
  return [...unsupported, ...larger, ...small];
}
