/**
 * Docker containers on a CNI network. Docker calls no plugins, so this does it for a container that was started with
 * `--network none`, by the network that any other runtime of the machine would use:
 *
 *   node build/scripts/docker-network.js add CONTAINER [--publish [ADDRESS:]HOSTPORT:PORT[/udp]]...
 *   node build/scripts/docker-network.js del CONTAINER
 *
 * `add` prints the network's result. `del` works while the container runs, after it has ended, and, with its whole id,
 * after it was removed. The socket is $DOCKER_HOST's or /var/run/docker.sock, plugins are looked for in $CNI_PATH,
 * networks in $NETCONFPATH.
 */
import { parseArgs } from 'node:util';
import Docker from 'dockerode';
import { firstNetwork, type Network } from '../libcni/network.ts';
import { type Attachment, CniRuntime } from '../libcni/runtime.ts';

const usage = 'docker-network add|del CONTAINER [--publish [ADDRESS:]HOSTPORT:PORT[/udp]]...';

const folders = {
  plugins: (process.env.CNI_PATH ?? '/opt/cni/bin:/usr/lib/cni').split(':'),
  networks: process.env.NETCONFPATH ?? '/etc/cni/net.d',
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { publish: { type: 'string', multiple: true, short: 'p' } },
  });
  const [verb, container, ...rest] = positionals;
  if ((verb !== 'add' && verb !== 'del') || container === undefined || rest.length > 0) {
    throw new Error(`usage: ${usage}`);
  }
  const network = await networkOfMachine();
  const runtime = new CniRuntime({ pluginDirs: folders.plugins });
  const attachment = await attachmentOf(container, (values.publish ?? []).map(portMapping));
  if (verb === 'del') return await runtime.del(network, attachment);
  if (attachment.netns === '') throw new Error(`${container} is not running: start it first`);
  process.stdout.write(`${JSON.stringify(await add({ runtime, network, attachment }), null, 2)}\n`);
}

/** As any runtime does, undoes what a failed ADD has left. */
async function add(request: {
  runtime: CniRuntime;
  network: Network;
  attachment: Attachment;
}): Promise<object> {
  const { runtime, network, attachment } = request;
  try {
    return await runtime.add(network, attachment);
  } catch (error) {
    await runtime.del(network, attachment);
    throw error;
  }
}

async function networkOfMachine(): Promise<Network> {
  const network = await firstNetwork(folders.networks);
  if (!network) throw new Error(`no CNI network is configured in ${folders.networks}`);
  return network;
}

async function attachmentOf(container: string, portMappings: readonly object[]): Promise<Attachment> {
  const { id, pid } = await inspect(container);
  const netns = pid === 0 ? '' : `/proc/${pid}/ns/net`;
  return { containerId: id, netns, ifname: 'eth0', capabilityArgs: { portMappings } };
}

/** Process id 0: it does not run, or is not there any more. */
async function inspect(container: string): Promise<{ id: string; pid: number }> {
  try {
    const { Id, State, HostConfig } = await new Docker().getContainer(container).inspect();
    if (HostConfig.NetworkMode === 'none') return { id: Id, pid: State.Pid };
    throw new Error(
      `${container} is on Docker's network ${HostConfig.NetworkMode}: start it with --network none`,
    );
  } catch (error) {
    const isGone = error instanceof Error && 'statusCode' in error && error.statusCode === 404;
    if (isGone && /^[0-9a-f]{64}$/.test(container)) return { id: container, pid: 0 };
    throw error;
  }
}

function portMapping(text: string): object {
  const match = /^(?:(.+):)?(\d+):(\d+)(?:\/(tcp|udp|sctp))?$/.exec(text);
  if (!match) throw new Error(`--publish ${text} is not [ADDRESS:]HOSTPORT:PORT[/PROTOCOL]`);
  const [, hostIP = '', hostPort, containerPort, protocol = 'tcp'] = match;
  return {
    hostPort: Number(hostPort),
    containerPort: Number(containerPort),
    protocol,
    hostIP: hostIP.replace(/^\[(.*)\]$/, '$1'),
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`docker-network: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
});
