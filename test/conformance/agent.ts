/** An agent on a ground: the real one, with an underlay on which nobody answers. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Ground } from './ground.ts';

const weftd = fileURLToPath(new URL('../../../dist/bin/weftd', import.meta.url));

/** No veth and no bridge, because cases count those. */
const furnish = `
set -e
ip tuntap add under0 mode tap
ip address add 192.168.188.101/24 dev under0
ip link set under0 up
mkdir -p /run/weft-test
echo 'underlay: under0' >/run/weft-test/weft.yaml
`;

/** The subnet file is what an agent writes last of all. */
const untilItIsReady = `
until [ -e /run/weft/subnet.env ]; do sleep 0.01; done
`;

/** Resolves once it has made what it keeps on the host, and listens for relays. */
export async function startAgent(ground: Ground): Promise<ChildProcess> {
  await ground.must('sh', '-c', furnish);
  return await runAgent(ground);
}

/** The same by a command that enters other namespaces first. */
export async function runAgentIn(ground: Ground, prefix: readonly string[]): Promise<ChildProcess> {
  await ground.must('sh', '-c', furnish);
  return await runAgent(ground, prefix);
}

/** The same where one has run before. */
export async function runAgent(ground: Ground, prefix: readonly string[] = []): Promise<ChildProcess> {
  await ground.must('rm', '-f', '/run/weft/subnet.env');
  const agent = ground.start([...prefix, process.execPath, weftd, '--config', '/run/weft-test/weft.yaml']);
  const said = agent.stderr ? text(agent.stderr) : Promise.resolve('');
  const ended = once(agent, 'exit').then(async () => {
    throw new Error(`the agent ended: ${await said}`);
  });
  ended.catch(() => {}); // what comes after it was ready is its keeper's business
  await Promise.race([ground.must('sh', '-c', untilItIsReady), ended]);
  return agent;
}
