/** Attaches a sandbox to the host's CNI network, and detaches it. */
import type { Json } from '../../json/object.ts';
import { PluginError } from '../../libcni/errors.ts';
import { networkOfHost, runtimeOfHost } from '../../libcni/host.ts';
import { type Network, parseNetwork } from '../../libcni/network.ts';
import type { Attachment, CniRuntime } from '../../libcni/runtime.ts';
import { cniCodes } from '../../plugin/errors.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';
import type { Pod } from '../manifest/pod.ts';
import type { AttachmentMemory } from '../plan/memory.ts';
import type { Observed } from '../plan/observed.ts';
import { capabilitiesOf } from './capabilities.ts';

const ifname = 'eth0';

/** The name of the host's network, before ADD: it is recorded first, so that DEL can undo a part of an ADD. */
export async function networkName(env: NodeJS.ProcessEnv): Promise<string> {
  return (await asked('find the network', () => networkOfHost(env))).name;
}

/**
 * ADD. Requests `addresses`, which the pod had before; others if those are not available. Returns the pod's
 * addresses, with their lengths.
 *
 * @throws PodError `network`; then call `detach`
 */
export async function attach(options: {
  readonly pod: Pod;
  readonly uid: string;
  readonly sandbox: Observed;
  readonly addresses: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}): Promise<string[]> {
  const { pod, uid, sandbox, addresses, env } = options;
  return await asked('put the pod on the network', async () => {
    const network = await networkOfHost(env);
    const runtime = runtimeOfHost(env);
    const of = (wished: readonly string[]): Attachment => ({
      containerId: sandbox.id,
      netns: `/proc/${sandbox.pid}/ns/net`,
      ifname,
      args: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', pod.namespace],
        ['K8S_POD_NAME', pod.name],
        ['K8S_POD_INFRA_CONTAINER_ID', sandbox.id],
        ['K8S_POD_UID', uid],
      ],
      capabilityArgs: capabilitiesOf(pod, wished),
    });
    return await addAgain({ runtime, network, of, addresses });
  });
}

/** The old address may be in use, or of a subnet that the node no longer has: then any address is accepted. */
async function addAgain(order: {
  runtime: CniRuntime;
  network: Network;
  of: (wished: readonly string[]) => Attachment;
  addresses: readonly string[];
}): Promise<string[]> {
  const { runtime, network, of, addresses } = order;
  try {
    return addressesIn(await runtime.add(network, of(addresses)));
  } catch (error) {
    if (addresses.length === 0 || !isAddressRefusal(error)) throw error;
    await runtime.del(network, of([]));
    return addressesIn(await runtime.add(network, of([])));
  }
}

/** weft's own error code; other IPAM plugins return a message only. */
const isAddressRefusal = (error: unknown): boolean =>
  error instanceof PluginError &&
  (error.code === cniCodes['address-not-available'] || /requested IP/i.test(error.message));

function addressesIn({ ips }: Json): string[] {
  if (!Array.isArray(ips)) return [];
  return ips.flatMap((ip: unknown) =>
    typeof ip === 'object' && ip !== null && 'address' in ip && typeof ip.address === 'string'
      ? [ip.address]
      : [],
  );
}

/** DEL, by the configuration that the ADD was made with. `sandbox` undefined: its namespace is gone. */
export async function detach(options: {
  readonly attachment: AttachmentMemory;
  readonly sandbox: Observed | undefined;
  readonly env: NodeJS.ProcessEnv;
}): Promise<void> {
  const { attachment, sandbox, env } = options;
  const key = { network: attachment.network, containerId: attachment.sandboxId, ifname };
  await asked('take the pod off the network', async () => {
    const runtime = runtimeOfHost(env);
    const cached = await runtime.cache.read(key);
    const network = cached ? parseNetwork(cached.source) : await networkOfHost(env);
    await runtime.del(network, {
      ...key,
      netns: sandbox ? `/proc/${sandbox.pid}/ns/net` : '',
      args: cached?.cniArgs ?? [],
      capabilityArgs: cached?.capabilityArgs ?? {},
    });
  });
}

async function asked<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw new PodError('network', `failed to ${what}: ${reasonOf(error)}`, { cause: error });
  }
}
