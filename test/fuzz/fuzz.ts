/** Calls at random until the time is over or one of them is answered as it must not be. */
import { Random } from '../unit/protocol/mutate.ts';
import { type FuzzCall, fuzzCall } from './calls.ts';
import { minimise } from './minimise.ts';
import { Target } from './target.ts';
import { complaintAbout } from './verdict.ts';

export interface FuzzReport {
  readonly calls: number;
  /** How many were answered with which code; 0 for a success. */
  readonly byCode: ReadonlyMap<string, number>;
  /** What was found, with the smallest call that shows it. */
  readonly finding: string | undefined;
}

/** At once: what one call disturbs of another shows too. */
const WORKERS = 3;
/** Then everything is taken away and looked for. */
const CALLS_BETWEEN_CLEARINGS = 600;
const SHRINKING_TRIES = 400;

interface Finding {
  readonly call: FuzzCall;
  readonly complaint: string;
}

export async function fuzz(options: {
  seed: number;
  seconds: number;
  onProgress?: (calls: number) => void;
}): Promise<FuzzReport> {
  const random = new Random(options.seed);
  const deadlineMs = performance.now() + options.seconds * 1000;
  const byCode = new Map<string, number>();
  let calls = 0;
  let finding: Finding | undefined;
  const target = await Target.open();
  const attempt = async (call: FuzzCall): Promise<string | undefined> => {
    const exit = await target.execute(call);
    count(byCode, `${call.env.CNI_COMMAND ?? ''} ${codeIn(exit.stdout, exit.status)}`);
    return complaintAbout(call, exit) ?? (target.agentLives ? undefined : 'the agent ended');
  };
  const work = async (until: number): Promise<void> => {
    while (calls < until && !finding && performance.now() < deadlineMs) {
      calls++;
      const call = fuzzCall(random);
      const complaint = await attempt(call);
      if (complaint !== undefined) finding ??= { call, complaint };
    }
  };
  try {
    while (performance.now() < deadlineMs) {
      const until = calls + CALLS_BETWEEN_CLEARINGS;
      await Promise.all(Array.from({ length: WORKERS }, () => work(until)));
      if (finding) return { calls, byCode, finding: await explain(finding, { target, attempt }) };
      const left = await target.clear();
      if (left !== '') return { calls, byCode, finding: `after ${calls} calls and a DEL of each:\n${left}` };
      options.onProgress?.(calls);
    }
    return { calls, byCode, finding: undefined };
  } finally {
    await target.close();
  }
}

async function explain(
  { call, complaint }: Finding,
  { target, attempt }: { target: Target; attempt: (call: FuzzCall) => Promise<string | undefined> },
): Promise<string> {
  const fails = async (candidate: FuzzCall): Promise<boolean> => {
    if (target.agentLives) await target.clear();
    return (await attempt(candidate)) !== undefined;
  };
  const alone = target.agentLives && (await fails(call));
  const smallest = alone ? await minimise(call, { fails, tries: SHRINKING_TRIES }) : call;
  const how = alone ? '' : ' (not by this call alone: other calls came before it or at the same time)';
  return `${complaint}${how}\n${asShell(smallest)}`;
}

/** The call as a line for a shell. */
export function asShell({ executable, env, stdin }: FuzzCall): string {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${quoted(value)}`);
  return `printf %s ${quoted(Buffer.from(stdin).toString('latin1'))} | env ${variables.join(' ')} dist/cni/${executable}`;
}

/** bash's `$'...'`, byte by byte, and cut where nobody would read on. */
function quoted(text: string): string {
  const escaped = [...text.slice(0, 4000)].map((character) =>
    /[\w ./:;,=@{}"[\]-]/.test(character)
      ? character
      : [...Buffer.from(character, 'latin1')]
          .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
          .join(''),
  );
  return `$'${escaped.join('')}'${text.length > 4000 ? ` # and ${text.length - 4000} more` : ''}`;
}

const count = (counts: Map<string, number>, key: string): unknown =>
  counts.set(key, (counts.get(key) ?? 0) + 1);

function codeIn(stdout: string, status: number | null): string {
  const [, code] = status === 0 ? [] : (/"code":(\d+)/.exec(stdout) ?? []);
  return code ?? (status === 0 ? 'ok' : `status ${status}`);
}
