/** Two processes work on one attachment: each is held up after any side effect while the other begins. I5 and I7. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { configurations } from './configurations.ts';
import { type Answer, enterHost, leaveHost, Plugin, Pod } from './ground.ts';

const mortal = fileURLToPath(new URL('./mortal.js', import.meta.url));
/** For the second call to come as far as the first lets it. */
const HEAD_START_MS = 100;

before(enterHost);
after(leaveHost);

/** The second call begins when the first has had its k-th side effect; undefined where the first has none. */
async function interleave(
  plugin: Plugin,
  options: { k: number; first: string; second: string; pod: Pod },
): Promise<{ first: number; second: Answer } | undefined> {
  const { k, first, second, pod } = options;
  const { env, stdin } = plugin.call(first, pod);
  const child = spawn(process.execPath, [mortal, plugin.runDir, String(k), 'SIGSTOP'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  child.stdin.end(JSON.stringify({ env, stdin: Buffer.from(stdin).toString() }));
  while (child.exitCode === null && !isStopped(child.pid)) await sleep(5);
  if (child.exitCode !== null) return undefined;
  const answered = plugin.do(second, pod);
  await Promise.race([answered, sleep(HEAD_START_MS)]);
  child.kill('SIGCONT');
  const [status] = await ended;
  return { first: status, second: await answered };
}

/** proc_pid_stat(5), field 3. */
const isStopped = (pid: number | undefined): boolean =>
  /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

/** What the pod has is what is on record as its own, whichever call came first in the end. */
function assertConsistent(plugin: Plugin, pod: Pod): void {
  const [eth0] = pod.ipJson('addr', 'show').filter(({ ifname }) => ifname === 'eth0');
  if (!eth0) {
    plugin.assertNothingLeft();
    return;
  }
  const addresses = eth0.addr_info.filter(({ scope }: { scope: string }) => scope === 'global');
  assert.deepEqual(addresses.map(({ local }: { local: string }) => local).sort(), plugin.allocated());
  assert.equal(plugin.records().length, 1);
}

const pairs = [
  { what: 'a DEL of what never was, and an ADD', first: 'DEL', second: 'ADD' },
  { what: 'an ADD, and a DEL that does not wait for it', first: 'ADD', second: 'DEL' },
] as const;

describe('one attachment, two processes:', () => {
  for (const { what, first, second } of pairs) {
    it(`${what}, after each side effect of the first`, async (t) => {
      const plugin = new Plugin();
      plugin.lease();
      plugin.config = { ...configurations['with every option'] };
      for (let k = 1; ; k++) {
        const pod = new Pod();
        const outcome = await interleave(plugin, { k, first, second, pod });
        try {
          if (outcome) {
            assert.deepEqual([outcome.first, outcome.second.status], [0, 0], JSON.stringify(outcome));
          }
          assertConsistent(plugin, pod);
          await plugin.must('DEL', pod);
          plugin.assertNothingLeft();
        } catch (error) {
          throw new Error(`at side effect ${k}: ${JSON.stringify(outcome)}: ${error}`, { cause: error });
        }
        pod.destroy();
        if (!outcome) {
          t.diagnostic(`${k - 1} interleavings`);
          break;
        }
      }
      plugin.dispose();
    });
  }
});
