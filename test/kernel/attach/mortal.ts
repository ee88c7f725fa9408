/**
 * A process that answers one CNI call and is killed after its k-th side effect:
 * `node mortal.js RUNDIR K` with a `PluginCall` as JSON on stdin. Without a k-th side effect it exits with the
 * answer's status.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { NetlinkSocket } from '../../../kernel/netlink/socket.ts';
import { createVerbs } from '../../../plugin/attach/verbs.ts';
import { answer } from '../../../plugin/protocol/answer.ts';

const effects = ['writeSync', 'writeFileSync', 'linkSync', 'renameSync', 'unlinkSync', 'rmSync', 'mkdirSync'];

const [runDir = '', killAfter = ''] = process.argv.slice(2);
let left = Number(killAfter);

function die(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL');
}

/** Makes the method count as a side effect. */
function mortal(target: object, name: string): void {
  const methods = target as Record<string, (...args: unknown[]) => unknown>;
  const original = methods[name];
  if (!original) throw new RangeError(`no ${name} to wrap`);
  methods[name] = function (this: unknown, ...args: unknown[]) {
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.finally(die);
    die();
    return result;
  };
}

const { env, stdin } = JSON.parse(fs.readFileSync(0, 'utf8'));
for (const name of effects) mortal(fs, name);
syncBuiltinESMExports();
for (const name of ['exchange', 'executeAsync', 'transact']) mortal(NetlinkSocket.prototype, name);

const { status, stdout } = await answer({ env, stdin: Buffer.from(stdin) }, createVerbs({ runDir }));
process.stdout.write(stdout);
process.exitCode = status;
