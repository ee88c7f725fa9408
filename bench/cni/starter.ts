/** Runs processes on a lab node and times them: starter.c, compiled for this run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabNode } from '../../lab/node.ts';
import { compile, findCompiler } from '../../scripts/build/compile.ts';

export interface Process {
  readonly command: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Timed {
  /** From before the fork to after the exit of each, in milliseconds. */
  readonly eachMs: readonly number[];
  /** From the first fork to the last exit. */
  readonly wallMs: number;
}

export class Starter {
  readonly #node: LabNode;
  readonly #folder: string;
  readonly #inputs = new Map<string, string>();

  private constructor(node: LabNode, folder: string) {
    this.#node = node;
    this.#folder = folder;
  }

  static make(node: LabNode): Starter {
    const compiler = findCompiler();
    if (compiler === undefined)
      throw new Error('the benchmark needs a C compiler: apt-get install gcc libc6-dev');
    const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
    const source = fileURLToPath(new URL('../../../bench/cni/starter.c', import.meta.url));
    const failure = compile({ compiler, sources: [source], output: join(folder, 'starter'), flags: [] });
    if (failure !== undefined) throw new Error(failure);
    return new Starter(node, folder);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** One after another, `gapMs` apart. */
  inTurn(processes: readonly Process[], gapMs: number): Promise<Timed> {
    return this.#run(processes, String(gapMs));
  }

  atOnce(processes: readonly Process[]): Promise<Timed> {
    return this.#run(processes, 'all');
  }

  /** Throws what the first that failed has written. */
  async #run(processes: readonly Process[], how: string): Promise<Timed> {
    const [plan, log] = [join(this.#folder, 'plan'), join(this.#folder, 'log')];
    writeFileSync(plan, processes.map((process) => `${this.#line(process)}\n`).join(''));
    rmSync(log, { force: true });
    const output = await this.#node.mustExec([join(this.#folder, 'starter'), plan, log, how]);
    const lines = output.trimEnd().split('\n');
    const wallMs = Number(lines.pop()) / 1000;
    const eachMs = lines.map((line, i) => {
      const [status, micros] = line.split(' ').map(Number);
      if (status !== 0)
        throw new Error(
          `${processes[i]?.command.join(' ')}: status ${status} of call ${i}, ` +
            `among:\n${readFileSync(log, 'utf8').slice(-1000)}`,
        );
      return (micros ?? Number.NaN) / 1000;
    });
    return { eachMs, wallMs };
  }

  #line({ command, stdin, env }: Process): string {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return [command.join(' '), this.#input(stdin), ...variables].join('\t');
  }

  /** A file that holds the text. */
  #input(text: string): string {
    const known = this.#inputs.get(text);
    if (known) return known;
    const path = join(this.#folder, `input-${this.#inputs.size}`);
    writeFileSync(path, text);
    this.#inputs.set(text, path);
    return path;
  }
}
