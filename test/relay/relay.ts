/** A relay of one's own, with its own runDir and little patience. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeRequest } from '../../plugin/contract/wire.ts';
import type { PluginCall } from '../../plugin/protocol/call.ts';
import { compile, findCompiler } from '../../scripts/build/compile.ts';
import { relayOf } from '../../scripts/build/launcher.ts';

export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly verb?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Written, and closed behind; null leaves it open and says nothing. */
  readonly stdin?: string | Uint8Array | null;
}

/** The folder of one relay: `weft`, its runDir, and what a test puts beside it. */
export class RelayGround {
  readonly directory = mkdtempSync(join(tmpdir(), 'weft-relay-'));
  readonly runDir = join(this.directory, 'run');
  readonly socket = join(this.runDir, 'cni.sock');
  readonly #executable = join(this.directory, 'weft');

  /** Compiled as it is installed, or so that the sanitizers watch it. */
  constructor(options: { answerSeconds: number; kind: 'bare' | 'sanitized' }) {
    chmodSync(this.directory, 0o755);
    const compiler = findCompiler();
    assert.ok(compiler);
    const { sources, flags } = relayOf(options.kind);
    const failure = compile({
      compiler,
      sources: sources.map((source) => fileURLToPath(new URL(`../../../${source}`, import.meta.url))),
      output: this.#executable,
      flags: [
        ...flags,
        `-DRUN_DIR=${JSON.stringify(this.runDir)}`,
        `-DANSWER_SECONDS=${options.answerSeconds}`,
      ],
    });
    assert.equal(failure, undefined);
    this.clear();
  }

  /** Nothing beside the relay, nothing in its runDir. */
  clear(): void {
    for (const path of [this.runDir, this.#standalone]) rmSync(path, { recursive: true, force: true });
    mkdirSync(this.runDir);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  get #standalone(): string {
    return join(this.directory, 'weft-standalone');
  }

  /** Puts a standalone plugin beside the relay. */
  standalone(script: string, interpreter = '/bin/sh'): void {
    writeFileSync(this.#standalone, `#!${interpreter}\n${script}\n`, { mode: 0o755 });
  }

  /** What is owed: a call by the name of its file. */
  tombstones(): PluginCall[] {
    const directory = join(this.runDir, 'tombstones');
    const names = readdirSync(this.runDir).includes('tombstones') ? readdirSync(directory) : [];
    return names.map((name) => decodeRequest(readFileSync(join(directory, name))));
  }

  run(options: RunOptions = {}): Promise<Ran> {
    const child = this.start(options);
    const { stdin = '{"cniVersion":"1.0.0","name":"weft"}' } = options;
    child.stdin?.on('error', () => {}); // it may have seen enough
    if (stdin !== null) child.stdin?.end(stdin);
    return finished(child);
  }

  start({ verb = 'ADD', env = {} }: RunOptions = {}): ChildProcess {
    return spawn(this.#executable, [], {
      env: {
        PATH: '/usr/bin:/bin',
        ASAN_OPTIONS: 'detect_leaks=0',
        CNI_COMMAND: verb,
        CNI_CONTAINERID: 'c1',
        CNI_IFNAME: 'eth0',
        ...env,
      },
    });
  }

  /** Through a shell, for the redirections that node has no word for. `$0` is the relay. */
  shell(script: string, verb = 'ADD'): Promise<Ran> {
    const env = { PATH: '/usr/bin:/bin', CNI_COMMAND: verb, ASAN_OPTIONS: 'detect_leaks=0' };
    return finished(spawn('/bin/sh', ['-c', script, this.#executable], { env }));
  }

  /** Something that listens where the agent would, while `test` runs. */
  async listening(behaviour: (socket: Socket) => void, test: () => Promise<void>): Promise<void> {
    const sockets = new Set<Socket>();
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      behaviour(socket);
    });
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
    try {
      await test();
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  }
}

export function finished(child: ChildProcess): Promise<Ran> {
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8');
    child[stream]?.on('data', (text: string) => {
      output[stream] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, ...output }));
  });
}
