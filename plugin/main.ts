/**
 * The standalone plugin: one call in a process of its own, for when no agent answers. The same code as in the
 * agent; what a verb does not need is not loaded.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { LogEvent } from '../log/events.ts';
import { CniError } from './errors.ts';
import { answer, refusal } from './protocol/answer.ts';
import type { PluginAnswer, PluginCall } from './protocol/call.ts';
import type { Verbs } from './protocol/request.ts';

/** Where the agent is, unless it is told otherwise, and then it attaches pods itself. */
const runDir = '/run/weft';

async function main(): Promise<void> {
  const { status, stdout, stderr } = await answerCall();
  // Not process.stdout: its streams and sockets would be loaded for a few hundred bytes.
  if (stderr) writeFileSync(2, stderr);
  if (stdout) writeFileSync(1, stdout);
  // Now, without taking apart what was loaded: nothing is under way.
  process.exit(status);
}

async function answerCall(): Promise<PluginAnswer> {
  const env = { ...(process.env as Record<string, string>) };
  const command = env.CNI_COMMAND;
  // These two must not wait for a stdin that stays open and says nothing.
  const stdin = !command || command === 'VERSION' ? Buffer.alloc(0) : readStdin();
  if (stdin instanceof CniError) return refusal(stdin);
  const verbs = lazyVerbs();
  return await afterWhatIsOwed({ env, stdin }, (call) => answer(call, verbs));
}

/** DELs that were promised come first, or one of them would later take down what an ADD makes now. */
async function afterWhatIsOwed(
  call: PluginCall,
  perform: (call: PluginCall) => Promise<PluginAnswer>,
): Promise<PluginAnswer> {
  const directory = `${runDir}/tombstones`;
  if (call.env.CNI_COMMAND !== 'ADD' || !existsSync(directory)) return perform(call);
  const { DeferredDels } = await import('./contract/deferred-dels.ts');
  const note = (event: LogEvent, fields?: object) =>
    process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
  const tombstones = new DeferredDels({ directory, answer: perform, log: { info: note, warn: note } });
  return await tombstones.guard()(call, new AbortController().signal);
}

function readStdin(): Buffer | CniError {
  try {
    return readFileSync(0);
  } catch (error) {
    return new CniError('input-output', `error reading from stdin: ${CniError.of(error).message}`);
  }
}

/** Verbs that load what they need when they are called. */
function lazyVerbs(): Verbs {
  const load = async () => {
    const [{ createVerbs }, { checkAgent }] = await Promise.all([
      import('./attach/verbs.ts'),
      import('./attach/agent-away.ts'),
    ]);
    return createVerbs({ runDir, checkHealth: () => checkAgent(runDir) });
  };
  return {
    add: async (request) => (await load()).add(request),
    del: async (request) => (await load()).del(request),
    check: async (request) => (await load()).check(request),
    gc: async (request) => (await load()).gc(request),
    status: async (request) => (await load()).status(request),
  };
}

// No top-level await: it is bundled as CommonJS.
void main();
