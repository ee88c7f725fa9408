/** The CNI network of this host: what every runtime on it uses. */
import { NetworkError } from './errors.ts';
import { firstNetwork, type Network } from './network.ts';
import { CniRuntime } from './runtime.ts';

/** Plugins are looked for in `CNI_PATH`. */
export const runtimeOfHost = (env: NodeJS.ProcessEnv, signal?: AbortSignal): CniRuntime =>
  new CniRuntime({ pluginDirs: (env.CNI_PATH ?? '/opt/cni/bin:/usr/lib/cni').split(':'), signal });

/**
 * The first network of `NETCONFPATH`.
 *
 * @throws NetworkError where there is none
 */
export async function networkOfHost(env: NodeJS.ProcessEnv): Promise<Network> {
  const folder = env.NETCONFPATH ?? '/etc/cni/net.d';
  const network = await firstNetwork(folder);
  if (network) return network;
  throw new NetworkError(
    `${folder} has no CNI configuration: weftd puts it there when pods can be made (systemctl status weftd)`,
  );
}
