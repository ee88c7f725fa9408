/** The labels and names of a pod's containers and volumes. */
import * as z from 'zod/mini';
import { asHandler, handlerShape } from '../manifest/handler.ts';
import type { PodKey } from '../manifest/key.ts';
import type { Role, StopOrder } from '../plan/observed.ts';

export const label = {
  /** `<namespace>_<name>` */
  pod: 'weft.pod',
  uid: 'weft.uid',
  role: 'weft.role',
  container: 'weft.container',
  sandbox: 'weft.sandbox',
  attempt: 'weft.attempt',
  stop: 'weft.stop',
} as const;

export type Labels = Readonly<Record<string, string>>;

export const roleOf = (labels: Labels): Role | undefined =>
  (['sandbox', 'init', 'app'] as const).find((role) => role === labels[label.role]);

export const stopLabel = (stop: StopOrder): string => JSON.stringify(stop);

/** An unreadable label gives the default, because the container must still be ended. */
export function stopOf(labels: Labels): StopOrder {
  const read = stopShape.safeParse(jsonOf(labels[label.stop] ?? ''));
  const { graceSeconds = defaultGraceSeconds, preStop, stage = 0 } = read.data ?? {};
  return { graceSeconds, preStop: preStop && asHandler(preStop), stage };
}

const defaultGraceSeconds = 30;

const stopShape = z.object({
  graceSeconds: z.optional(z.number().check(z.gte(0))),
  preStop: z.optional(handlerShape),
  stage: z.optional(z.number().check(z.int(), z.gte(0))),
});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a container: `weft_default_web_nginx_0_1f2e3d4c`; pods' names hold no underscore. */
export const containerName = (of: { key: PodKey; name: string; attempt: number; uid: string }): string =>
  `weft_${of.key}_${of.name}_${of.attempt}_${of.uid.slice(0, 8)}`;

/** Of a sandbox's name: a random number follows. */
export const sandboxPrefix = (key: PodKey): string => `weft_${key}_POD_`;

export const volumeName = (of: { uid: string; name: string }): string => `weft_${of.uid}_${of.name}`;
