/**
 * What pods feel of an agent that is killed, or ends and starts again: 10 000 pings a millisecond apart, in each way of
 * reaching a peer. The data path is the kernel's, so it should be nothing.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { atMost, type Figure, type SuiteContext } from '../figure.ts';
import { withLab } from '../lab.ts';

const PINGS = 10_000;
/** Between one end of the agent and the next. */
const PAUSE_MS = 500;
const backends = ['vxlan', 'direct', 'auto'] as const;

export async function lives(context: SuiteContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const backend of backends) {
    context.progress(`${PINGS} pings a millisecond apart while agents are killed and restarted, ${backend}`);
    const { lost, ends } = await withLab({ name: 'bench-lives', nodes: 2, backend }, async (lab) => {
      const from = await lab.pod('node-1', 'from');
      const to = await lab.pod('node-2', 'to');
      const [program = '', ...args] = from.command([
        ...['ping', '-n', '-q', '-i', '0.001', '-c', String(PINGS), '-W', '2', to.addresses[0] ?? ''],
      ]);
      const child = spawn(program, args, {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: from.node.environment(),
      });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk;
      });
      const closed = once(child, 'close');
      let ends = 0;
      while (child.exitCode === null) {
        for (const node of lab.nodes) {
          await node.agent.stop(ends % 4 < 2 ? 'SIGKILL' : 'SIGTERM');
          await node.agent.start();
          ends++;
        }
        await delay(PAUSE_MS);
      }
      await closed;
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
      if (Number(sent) !== PINGS) throw new Error(`ping ended early: ${output}`);
      return { lost: Number(sent) - Number(received), ends };
    });
    const what = `pings lost of ${PINGS}, 1 ms apart, agents killed and restarted ${ends} times, ${backend}`;
    figures.push(atMost(0, { what, ours: lost, peer: undefined, unit: 'pings' }));
  }
  return figures;
}
