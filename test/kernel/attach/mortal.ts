/**
 * A process that answers one CNI call and is killed, or gets another signal, after its k-th side effect:
 * `node mortal.js RUNDIR K [SIGNAL]` with a `PluginCall` as JSON on stdin. Without a k-th side effect it exits with
 * the answer's status.
 */
import fs from 'node:fs';
import { createVerbs } from '../../../plugin/attach/verbs.ts';
import { answer } from '../../../plugin/protocol/answer.ts';
import { watchEffects } from './effects.ts';

const [runDir = '', killAfter = '', signal = 'SIGKILL'] = process.argv.slice(2);
const { env, stdin } = JSON.parse(fs.readFileSync(0, 'utf8'));
watchEffects({
  after: (k) => {
    if (k === Number(killAfter)) process.kill(process.pid, signal);
  },
});
const { status, stdout } = await answer({ env, stdin: Buffer.from(stdin) }, createVerbs({ runDir }));
process.stdout.write(stdout);
process.exitCode = status;
