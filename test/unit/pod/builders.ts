/** Pods, containers and memories for tests: what is not said is as it is with a healthy pod. */

import type { Pod } from '../../../pod/manifest/pod.ts';
import { readManifest } from '../../../pod/manifest/read.ts';
import { type ContainerMemory, emptyMemory, fresh, type Memory } from '../../../pod/plan/memory.ts';
import type { Observed } from '../../../pod/plan/observed.ts';
import type { Wanted } from '../../../pod/plan/situation.ts';

export const uid = '1f2e3d4c-0000-4000-8000-000000000001';
export const nowMs = 1_000_000_000;

export function pod(spec: object = {}): Pod {
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    spec: { containers: [{ name: 'a', image: 'i:1' }], ...spec },
  };
  const [read] = readManifest('pod.yaml', JSON.stringify(manifest)).pods;
  if (!read) throw new Error('no pod');
  return read;
}

export const wanted = (spec?: object, over: Partial<Wanted> = {}): Wanted => ({
  pod: pod(spec),
  uid,
  removal: undefined,
  ...over,
});

const blank: Observed = {
  id: '',
  role: 'app',
  name: '',
  uid,
  sandboxId: 'sandbox-1',
  attempt: 0,
  state: 'running',
  startedAt: 'then',
  createdAtMs: 1,
  startedAtMs: 2,
  finishedAtMs: 0,
  exitCode: 0,
  pid: 100,
  stop: { graceSeconds: 30, preStop: undefined, stage: 0 },
};

export const sandbox = (over: Partial<Observed> = {}): Observed => {
  const id = over.id ?? 'sandbox-1';
  return { ...blank, id, role: 'sandbox', name: 'POD', sandboxId: id, ...over };
};

export const container = (name: string, over: Partial<Observed> = {}): Observed => ({
  ...blank,
  name,
  id: `${name}-${over.attempt ?? 0}`,
  ...over,
});

export const exited = (name: string, exitCode: number, over: Partial<Observed> = {}): Observed =>
  container(name, { state: 'exited', exitCode, finishedAtMs: nowMs, pid: 0, ...over });

export const memory = (over: Partial<Memory> = {}): Memory => ({ ...emptyMemory(uid), ...over });

/** That of a pod whose sandbox is on the network. */
export const attached = (over: Partial<Memory> = {}): Memory =>
  memory({
    attachments: [
      {
        sandboxId: 'sandbox-1',
        startedAt: 'then',
        network: 'weft',
        complete: true,
        addresses: ['10.244.1.2'],
      },
    ],
    ...over,
  });

export const known = (name: string, over: Partial<ContainerMemory> = {}): ContainerMemory => ({
  ...fresh({ attempt: 0, sandboxId: 'sandbox-1', backoff: undefined }),
  id: `${name}-0`,
  ...over,
});
