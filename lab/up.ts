/** From nothing to nodes joined by an underlay. Steps that do not need each other run at the same time. */
import { dirname } from 'node:path';
import { mustRun } from './command.ts';
import { onGround, raiseGround } from './ground.ts';
import { fabric, netnsName, netnsPath, processMark } from './names.ts';
import { fabricLines, type Member, namespaceLines, nodeLines, type Topology } from './topology.ts';

/** Makes namespaces, bridges, cables, addresses. `seen`: what of the host every node must see. */
export async function raiseUnderlay(request: { topology: Topology; root: string }): Promise<void> {
  const { topology, root } = request;
  const { lab } = topology;
  const env = { ...process.env, [processMark]: lab };
  await mustRun(['ip', '-batch', '-'], { input: batch(namespaceLines(topology)), env });
  const seen = [...new Set([root, dirname(process.execPath)])];
  await Promise.all([
    mustRun(fabricShell(lab), { input: batch(fabricLines(topology)), env }),
    ...topology.nodes.map((node) => raiseGround({ lab, node: node.name, seen })),
  ]);
  await Promise.all(topology.nodes.map((node) => plugIn({ topology, node, env })));
}

const plugIn = (request: { topology: Topology; node: Member; env: NodeJS.ProcessEnv }): Promise<string> => {
  const { topology, node, env } = request;
  const argv = onGround({ lab: topology.lab, node: node.name }, ['ip', '-batch', '-']);
  return mustRun(argv, { input: batch(nodeLines(topology, node)), env });
};

/** `arp_ignore`, as on the nodes: an address is answered for by the interface that has it, and by no other. */
const fabricShell = (lab: string): string[] => [
  'nsenter',
  `--net=${netnsPath(lab, fabric)}`,
  '--',
  'sh',
  '-ec',
  `cd /proc/sys/net
echo 1 >ipv4/ip_forward
echo 1 >ipv4/conf/all/arp_ignore
if [ -d ipv6 ]; then echo 1 >ipv6/conf/all/forwarding; fi
exec ip -batch -`,
];

const batch = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** The fabric's devices, as `ip -j link` prints them. */
export async function fabricLinks(lab: string): Promise<unknown> {
  return JSON.parse(await mustRun(['ip', '-n', netnsName(lab, fabric), '-j', 'link']));
}
