/** Replays deferred DELs with one file descriptor left, then with enough of them; prints how many DELs are left. */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { silentLog } from '../../log/log.ts';
import { DeferredDels } from '../../plugin/contract/deferred-dels.ts';

const [directory = ''] = process.argv.slice(2);
const never = new AbortController().signal;
const answer = async () => ({ status: 0, stdout: '', stderr: '' });
const deferred = new DeferredDels({ directory, answer, log: silentLog });
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  closeSync(taken.pop() ?? -1);
}
await deferred.replay(never);
for (const fd of taken) closeSync(fd);
const whileShort = readdirSync(directory).length;
await deferred.replay(never);
process.stdout.write(JSON.stringify({ whileShort, after: readdirSync(directory).length }));
