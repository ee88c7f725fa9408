/** What the agent does for runtimes that neither DEL nor GC: it gives up what has no namespace any more. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { Health } from '../../../agent/serve/health/health.ts';
import { servePods } from '../../../agent/serve/pods.ts';
import { configurations } from './configurations.ts';
import { addressOf, enterHost, leaveHost, Plugin, Pod, ping, run, waitFor } from './ground.ts';

before(enterHost);
after(leaveHost);

it('attachment made in another network namespace: the sweep keeps it, DEL frees what it holds', async () => {
  const plugin = new Plugin();
  plugin.lease();
  const pod = new Pod();
  await plugin.must('ADD', pod);
  const [file = ''] = plugin.records();
  const path = join(plugin.runDir, 'attachments', file);
  const record = JSON.parse(readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '');
  writeFileSync(path, `${JSON.stringify({ ...record, hostNetnsId: '4:1' })}\n`);
  run('ip', 'link', 'del', record.host.name); // as it is for a process in a namespace that has no such link
  for (let i = 0; i < 3; i++) await plugin.verbs.sweep();
  assert.deepEqual([plugin.records().length, plugin.allocated().length], [1, 1]);
  await plugin.must('DEL', pod);
  plugin.assertNothingLeft();
  plugin.dispose();
});

it('an agent gives up attachments whose namespaces are gone, and no others', async () => {
  const plugin = new Plugin();
  plugin.lease();
  const config = { ...configurations['with every option'], name: 'second', bridge: 'br2' };
  const [living, ...dead] = [new Pod(), new Pod(), new Pod()];
  const address = addressOf(await plugin.must('ADD', living));
  for (const pod of dead) await plugin.must('ADD', pod);
  await plugin.must('ADD', living, { config, env: { CNI_IFNAME: 'net1' } });
  const life = new AbortController();
  const failures: unknown[] = [];
  const { done } = await servePods({
    runDir: plugin.runDir,
    health: new Health({ now: () => performance.now(), wallNow: () => Date.now() }),
    inUse: () => true,
    log: { info: () => {}, warn: () => {}, error: (fields: unknown) => void failures.push(fields) },
    onCall: () => {},
    sweepMs: 20,
    signal: life.signal,
  });
  for (const pod of dead) pod.destroy();
  await waitFor(() => plugin.records().length === 2);
  await waitFor(() => plugin.allocated().length === 1);
  assert.deepEqual(plugin.allocated(), [address]);
  ping(address);
  living.destroy();
  await waitFor(() => plugin.records().length === 0 && plugin.allocated('second').length === 0);
  plugin.assertNothingLeft();
  life.abort();
  await done;
  assert.deepEqual(failures, []);
  plugin.dispose();
});
