/** From nothing to nodes joined by an underlay. Steps that do not need each other run at the same time. */
import { dirname } from 'node:path';
import { mustRun } from './command.ts';
import { raiseGround } from './ground.ts';
import { fabric, netnsName, netnsPath, processMark } from './names.ts';
import { fabricLines, type Member, memberLines, members, namespaceLines, type Topology } from './topology.ts';

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
  await Promise.all(members(topology).map((member) => plugIn({ topology, member, env })));
}

const plugIn = (request: { topology: Topology; member: Member; env: NodeJS.ProcessEnv }): Promise<string> => {
  const { topology, member, env } = request;
  const argv = ['ip', '-n', netnsName(topology.lab, member.name), '-batch', '-'];
  return mustRun(argv, { input: batch(memberLines(topology, member)), env });
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
