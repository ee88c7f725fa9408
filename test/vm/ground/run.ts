/** Programs, for the ground of the virtual machines' tests. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Standard input: a text, or the file of a path. */
  readonly input?: string | { readonly file: string } | undefined;
  /** What it says is shown as it comes, each line behind this. */
  readonly echo?: string | undefined;
}

/** Runs it to its end, whatever that is. */
export async function attempt(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [program = '', ...args] = argv;
  const { signal, input, echo } = options;
  const file = typeof input === 'object' ? openSync(input.file, 'r') : undefined;
  try {
    const child = spawn(program, args, { stdio: [file ?? 'pipe', 'pipe', 'pipe'], signal });
    if (file === undefined) child.stdin?.end(typeof input === 'string' ? input : '');
    child.stdin?.on('error', () => {}); // it may not read to the end: its status says how it went
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const chunks: Buffer[] = [];
      stream?.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (echo !== undefined)
          process.stderr.write(
            chunk
              .toString()
              .replace(/^/gm, echo)
              .replace(new RegExp(`${echo}$`), ''),
          );
      });
      return () => Buffer.concat(chunks).toString();
    });
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    return { status, stdout: stdout?.() ?? '', stderr: stderr?.() ?? '' };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Runs it to its end and returns what it printed; throws with what it said if it fails. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(argv, options);
  if (status !== 0) throw new Error(`${argv.join(' ').slice(0, 300)}: status ${status}\n${stderr || stdout}`);
  return stdout;
}
