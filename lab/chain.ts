/** ADD and DEL of a sandbox with the first plugin of the node's CNI configuration. */
import { readFileSync } from 'node:fs';
import { serviceEnvironment } from './agent.ts';
import { LabError } from './errors.ts';
import type { LabNode } from './node.ts';

type Call = { node: LabNode; containerId: string; netns: string };

async function call(verb: string, request: Call): Promise<string> {
  const list = JSON.parse(readFileSync(request.node.path('/etc/cni/net.d/10-weft.conflist'), 'utf8'));
  const conf = { ...list.plugins[0], name: list.name, cniVersion: list.cniVersion };
  const outcome = await request.node.exec(
    ['sh', '-c', 'for d in /opt/cni/bin /usr/lib/cni; do test -x $d/$1 && exec $d/$1; done', 'sh', conf.type],
    {
      input: JSON.stringify(conf),
      env: {
        ...serviceEnvironment(request.node.lab),
        CNI_COMMAND: verb,
        CNI_CONTAINERID: request.containerId,
        CNI_NETNS: request.netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
      },
    },
  );
  if (outcome.status !== 0) throw new LabError(`${verb}: ${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

export async function addSandbox(request: Call): Promise<string[]> {
  const result = JSON.parse(await call('ADD', request));
  return result.ips.map((one: { address: string }) => one.address.split('/')[0]);
}
export async function delSandbox(request: Call): Promise<void> {
  await call('DEL', request);
}
