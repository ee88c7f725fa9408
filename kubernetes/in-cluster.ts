/** The access that the kubelet gives to each pod: a service account's token and the cluster's authority, as files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Access } from './access.ts';
import { fixedCredentials, readSource } from './credentials.ts';
import { AccessError, textOf } from './errors.ts';

export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface InClusterOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the kubelet puts the files, unless given: the usual place. */
  readonly folder?: string;
}

/** Throws `AccessError` where this process is not in a pod, or the pod has no token. */
export function inClusterAccess({ env, folder = serviceAccountFolder }: InClusterOptions): Access {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !port) {
    throw new AccessError(
      'failed to find the API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, ' +
        'so this is not a pod; set store.kubeconfig to a kubeconfig',
    );
  }
  const [caFile, tokenFile] = [join(folder, 'ca.crt'), join(folder, 'token')];
  for (const file of [caFile, tokenFile]) requireReadable(file);
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    source: 'in-cluster service account',
    tlsServerName: undefined,
    ca: () => readSource({ file: caFile }, "cluster's certificate authority"),
    proxy: 'environment',
    credentials: fixedCredentials({ token: { file: tokenFile } }),
    namespace: namespaceIn(folder),
  };
}

function requireReadable(file: string): void {
  try {
    readFileSync(file);
  } catch (error) {
    throw new AccessError(
      `failed to read the service account: ${textOf(error)}; the pod needs automountServiceAccountToken: true`,
      { cause: error },
    );
  }
}

function namespaceIn(folder: string): string {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || 'default';
  } catch {
    // A projected token volume need not have it.
    return 'default';
  }
}
