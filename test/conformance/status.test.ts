/** STATUS on a real agent: each reason for which pods should not be sent here, with its code. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { executePlugin } from '../../libcni/execute.ts';
import { startAgent } from './agent.ts';
import { Ground } from './ground.ts';
import { weft } from './subject.ts';

let ground: Ground;
before(async () => {
  ground = await Ground.open();
});
after(() => ground.close());

interface Status {
  readonly code: number;
  readonly msg: string;
}

/** Code 0 where it is silent. */
async function status(): Promise<Status> {
  const { status: exit, stdout } = await executePlugin({
    type: 'weft',
    pluginDirs: weft.pluginDirs,
    prefix: ground.prefix,
    env: { CNI_COMMAND: 'STATUS' },
    stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'weft', type: 'weft' }),
  });
  if (exit === 0) return { code: 0, msg: stdout };
  return JSON.parse(stdout) as Status;
}

/** Until STATUS has this code; what it says then. */
async function untilStatus(code: number): Promise<string> {
  for (let looks = 0; looks < 1200; looks++) {
    const said = await status();
    if (said.code === code) return said.msg;
    await sleep(50);
  }
  assert.fail(`STATUS is ${JSON.stringify(await status())}, expected ${code}`);
}

describe('STATUS', () => {
  let agent: ChildProcess;

  it('is 50 where no agent has run yet, and names the agent, which is to lease a subnet', async () => {
    assert.match(await untilStatus(50), /the agent is away/);
  });

  it('is silent once the agent is ready', async () => {
    agent = await startAgent(ground);
    assert.equal(await untilStatus(0), '');
  });

  it('VXLAN device that cannot be created: STATUS answers 51, and 0 once it can be created', async () => {
    // The agent would be there first.
    agent.kill('SIGSTOP');
    await ground.must('ip', 'link', 'del', 'weft.1');
    await ground.must('ip', 'link', 'add', ...'other0 type vxlan id 1 dstport 8472 dev under0'.split(' '));
    agent.kill('SIGCONT');
    assert.match(await untilStatus(51), /VNI 1 on UDP port 8472 is in use by other0/);
    await ground.must('ip', 'link', 'del', 'other0');
    assert.equal(await untilStatus(0), '');
  });

  it('is 50 while the agent is away', async () => {
    const ended = once(agent, 'exit');
    agent.kill('SIGKILL');
    await ended;
    assert.match(await untilStatus(50), /the agent is away/);
  });
});
