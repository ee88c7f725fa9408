/** What is written on a pod's containers and volumes, so that they are recognised without memory. */
import type { Handler } from '../manifest/pod.ts';
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

/** What cannot be read counts as not said: the pod has to be removed all the same. */
export function stopOf(labels: Labels): StopOrder {
  try {
    const { graceSeconds, preStop } = JSON.parse(labels[label.stop] ?? '') as {
      graceSeconds?: unknown;
      preStop?: Handler;
    };
    return { graceSeconds: typeof graceSeconds === 'number' ? graceSeconds : defaultGraceSeconds, preStop };
  } catch {
    return { graceSeconds: defaultGraceSeconds, preStop: undefined };
  }
}

const defaultGraceSeconds = 30;

/** Of a container: `weft_default_web_nginx_0_1f2e3d4c`; pods' names hold no underscore. */
export const containerName = (of: { key: string; name: string; attempt: number; uid: string }): string =>
  `weft_${of.key}_${of.name}_${of.attempt}_${of.uid.slice(0, 8)}`;

export const volumeName = (of: { uid: string; name: string }): string => `weft_${of.uid}_${of.name}`;
