/** From the configuration to a client of the API server. */
import { ApiClient } from '../../../kubernetes/client.ts';
import { AccessError } from '../../../kubernetes/errors.ts';
import { inClusterAccess } from '../../../kubernetes/in-cluster.ts';
import { kubeconfigAccess } from '../../../kubernetes/kubeconfig.ts';
import type { KubernetesStoreConfig } from '../../config/config.ts';
import { StoreError } from '../errors.ts';

/**
 * Makes no request. The client is open until the signal fires.
 *
 * @throws StoreError `refused` where neither a kubeconfig nor a service account can be used
 */
export function openApi(given: {
  readonly store: KubernetesStoreConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly signal: AbortSignal;
}): ApiClient {
  const { store, env, version, signal } = given;
  try {
    const access =
      store.kubeconfig === undefined ? inClusterAccess({ env }) : kubeconfigAccess(store.kubeconfig);
    const userAgent = `weftd/${version} (${process.platform}/${process.arch})`;
    const client = new ApiClient({ access, userAgent, env });
    signal.addEventListener('abort', () => client.close(), { once: true });
    return client;
  } catch (error) {
    if (error instanceof AccessError) throw new StoreError('refused', error.message, { cause: error });
    throw error;
  }
}
