/**
 * The standalone plugin: one call in a process of its own, for when no agent answers. The same code as in the
 * agent; what a verb does not need is not loaded.
 */
import { readFileSync } from 'node:fs';
import { CniError } from './errors.ts';
import { answer, type PluginAnswer, refusal } from './protocol/answer.ts';
import type { Verbs } from './protocol/request.ts';

/** Where the agent is, unless it is told otherwise, and then it attaches pods itself. */
const runDir = '/run/weft';

async function main(): Promise<void> {
  const { status, stdout, stderr } = await answerCall();
  process.stderr.write(stderr);
  process.stdout.write(stdout);
  process.exitCode = status;
}

async function answerCall(): Promise<PluginAnswer> {
  const env = { ...(process.env as Record<string, string>) };
  const command = env.CNI_COMMAND;
  // These two must not wait for a stdin that stays open and says nothing.
  const stdin = !command || command === 'VERSION' ? Buffer.alloc(0) : readStdin();
  return stdin instanceof CniError ? refusal(stdin) : await answer({ env, stdin }, lazyVerbs());
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
