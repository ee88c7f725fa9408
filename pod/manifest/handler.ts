/** The shape of a hook's or probe's handler, as it is written into labels and files. */
import * as z from 'zod/mini';
import type { Handler } from './pod.ts';

const port = z.number().check(z.int(), z.gte(0), z.lte(65_535));

export const handlerShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exec'), command: z.array(z.string()).check(z.minLength(1)) }),
  z.object({
    kind: z.literal('http'),
    host: z.optional(z.string()),
    port,
    path: z.string(),
    scheme: z.enum(['HTTP', 'HTTPS']),
    headers: z.array(z.object({ name: z.string(), value: z.string() })),
  }),
  z.object({ kind: z.literal('tcp'), host: z.optional(z.string()), port }),
  z.object({ kind: z.literal('sleep'), seconds: z.number().check(z.gte(0)) }),
]) satisfies z.ZodMiniType<unknown>;

export type ReadHandler = z.output<typeof handlerShape>;

/** Absent keys are undefined in {@link Handler}. */
export const asHandler = (read: ReadHandler): Handler =>
  read.kind === 'http' || read.kind === 'tcp' ? { ...read, host: read.host } : read;
