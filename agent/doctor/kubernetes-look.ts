/** The Kubernetes API as a store: whether the Nodes can be listed, and what this account may write. */
import type { ApiClient } from '../../kubernetes/client.ts';
import { objectIn } from '../../kubernetes/json.ts';
import { listAll } from '../../kubernetes/list.ts';
import { nodes } from '../../kubernetes/resource.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Config } from '../config/config.ts';
import { openApi } from '../lease/kubernetes/open.ts';
import { version } from '../version.ts';
import type { StoreLook } from './store-look.ts';

const reviews = { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews' };
/** What the agent writes (deploy/kubernetes). */
const needed = { group: '', resource: 'nodes', subresource: 'status', verb: 'patch' };

export async function kubernetesLook({ store }: Config, signal: AbortSignal): Promise<StoreLook> {
  const nothing = {
    description: 'the Kubernetes API',
    subnets: [],
    unreadable: undefined,
    unwritable: undefined,
    roundTripMs: undefined,
  };
  if (store.type !== 'kubernetes') return nothing;
  try {
    const client = openApi({ store, env: process.env, version, signal });
    const sinceMs = performance.now();
    await listAll({ client, place: nodes, as: 'metadata', digest: () => undefined, signal });
    const roundTripMs = performance.now() - sinceMs;
    const unwritable = (await mayPatch(client, signal))
      ? undefined
      : 'the account may not patch nodes/status: apply the ClusterRole of deploy/kubernetes/weft.yaml';
    return { ...nothing, description: client.server, unwritable, roundTripMs };
  } catch (error) {
    return { ...nothing, unreadable: reasonOf(error) };
  }
}

/** Asks the API server, which writes nothing (SelfSubjectAccessReview). */
async function mayPatch(client: ApiClient, signal: AbortSignal): Promise<boolean> {
  const object = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: needed },
  };
  const body = { type: 'application/json', object };
  const answer = await client.request({ verb: 'create', place: reviews, body, signal });
  return objectIn(answer, 'status')?.allowed === true;
}
