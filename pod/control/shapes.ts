/**
 * The files' contents as far as decisions rest on them. A file of this format that an earlier version wrote has fewer
 * keys, one of a later version more: unknown keys are kept. Pure.
 */
import * as z from 'zod/mini';
import { parseUid } from '../manifest/key.ts';
import { keyOf } from '../manifest/pod.ts';

/** The one format so far; a file of another is not read. */
export const format = 1;

const texts = z.array(z.string());
const uid = z.string().check(z.refine((text) => parseUid(text) !== undefined, { error: 'expected a UUID' }));
const seconds = z.number().check(z.gte(0));

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string() })),
  ports: z.array(z.looseObject({ containerPort: z.number() })),
  mounts: z.array(z.looseObject({ volume: z.string(), path: z.string() })),
  probes: z.looseObject({}),
});

const pod = z.looseObject({
  namespace: z.string(),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  hostname: z.string(),
  initContainers: z.array(container),
  containers: z.array(container).check(z.minLength(1)),
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']),
  volumes: z.array(z.looseObject({ kind: z.string(), name: z.string() })),
  dns: z.looseObject({ nameservers: texts, searches: texts, options: texts }),
  graceSeconds: seconds,
  bandwidth: z.looseObject({}),
});

/** @param key what the file is named by */
export const orderShape = (key: string) =>
  z
    .looseObject({
      pod,
      uid,
      digest: z.string(),
      appliedAt: z.string(),
      pauseImage: z.optional(z.string()),
      removal: z.optional(z.looseObject({ graceSeconds: z.optional(seconds) })),
    })
    .check(z.refine((order) => keyOf(order.pod) === key, { error: `the pod in it is not ${key}` }));

const attachment = z.looseObject({
  sandboxId: z.string(),
  startedAt: z.string(),
  network: z.string(),
  complete: z.boolean(),
  addresses: texts,
});

const exit = z.looseObject({ code: z.number(), atMs: z.number(), reason: z.string(), message: z.string() });

const containerMemory = z.looseObject({
  attempt: z.number(),
  id: z.optional(z.string()),
  sandboxId: z.string(),
  exit: z.optional(exit),
  started: z.boolean(),
  ready: z.boolean(),
});

export const memoryShape = z.looseObject({
  uid: z.union([uid, z.literal('')]),
  attachments: z.array(attachment),
  addresses: texts,
  containers: z.record(z.string(), containerMemory),
  ended: z.optional(z.enum(['Succeeded', 'Failed'])),
  stopping: z.record(z.string(), z.number()),
});
