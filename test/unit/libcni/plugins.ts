/** Plugins that write down how they were called and answer what the test told them to. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Json } from '../../../json/object.ts';

export interface Seen {
  readonly plugin: string;
  readonly verb: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Json;
}

/** One line per call: name, verb, variables, stdin; then the answer, if there is one, and its exit status. */
const script = `#!/bin/sh
name=$(basename "$0"); answer="$(dirname "$0")/$CNI_COMMAND.$name"
vars=$(env | grep -E '^(CNI_|MORE)' | base64 -w0)
echo "$name $CNI_COMMAND $vars $(base64 -w0)" >>"$(dirname "$0")/calls"
if [ -f "$answer.err" ]; then cat "$answer.err" >&2; fi
if [ -f "$answer.out" ]; then cat "$answer.out"; fi
if [ -f "$answer.status" ]; then exit "$(cat "$answer.status")"; fi
`;

export interface Answer {
  readonly stdout?: unknown;
  readonly stderr?: string;
  readonly status?: number;
}

/** A directory of such plugins, and one for anything else; both gone after the test. */
export function pluginDir(t: TestContext, names: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), 'weft-libcni-'));
  t.after(() => rmSync(root, { recursive: true }));
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const name of names) {
    writeFileSync(join(bin, name), script);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    root,
    bin,
    answer(name: string, verb: string, { stdout, stderr, status }: Answer): void {
      const write = (kind: string, text: string) => writeFileSync(join(bin, `${verb}.${name}.${kind}`), text);
      if (stdout !== undefined) write('out', typeof stdout === 'string' ? stdout : JSON.stringify(stdout));
      if (stderr !== undefined) write('err', stderr);
      if (status !== undefined) write('status', String(status));
    },
    /** The calls so far, in order. */
    seen(): Seen[] {
      return lines(join(bin, 'calls')).map((line) => {
        const [plugin = '', verb = '', vars = '', stdin = ''] = line.split(' ');
        return { plugin, verb, env: variables(decoded(vars)), stdin: JSON.parse(decoded(stdin)) };
      });
    },
    file(name: string, content: unknown): string {
      const path = join(root, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
      return path;
    },
  };
}

const decoded = (text: string): string => Buffer.from(text, 'base64').toString();

const lines = (path: string): string[] => {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return []; // nobody was called
  }
};

const variables = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
