/**
 * How the standalone plugin starts: the bundle beside this one, with the code that V8 compiled for the last call
 * of the same verb. Compiling anew what a call needs takes longer than what the call does.
 *
 * The compiled code is learned from the first call that succeeds and kept under runDir, where only root writes.
 * V8 refuses what another version of itself made, but it dies of bytes that are not what it wrote: so they bear
 * the bundle's first line, which is its digest, and the boot id, for a power loss may leave anything in a file.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';

const bundle = join(dirname(__filename), '../lib/standalone.js');
const learned = '/run/weft/compiled';
const verbs: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']);

function start(): void {
  // Pure ASCII, as esbuild writes it: one byte for each character.
  const source = readFileSync(bundle, 'latin1');
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
  const id = `${source.slice(0, source.indexOf('\n'))} ${bootId}`;
  const verb = process.env.CNI_COMMAND ?? '';
  const path = verbs.has(verb) ? join(learned, verb) : undefined;
  const cachedData = path && readCompiled(path, id);
  const parameters = '(function (exports, require, module, __filename, __dirname) {';
  const script = new Script(`${parameters}${source}\n})`, {
    filename: bundle,
    ...(cachedData ? { cachedData } : {}),
  });
  if (path && (!cachedData || script.cachedDataRejected)) {
    process.once('exit', (status) => {
      if (status === 0) keepCompiled(path, Buffer.concat([Buffer.from(id), script.createCachedData()]));
    });
  }
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, bundle, dirname(bundle));
}

/** Undefined where there is none that is this bundle's and that only its owner, who is us, can have written. */
function readCompiled(path: string, id: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined; // nothing learned yet
  }
  try {
    const { uid, mode } = fstatSync(file);
    if (uid !== process.geteuid?.() || mode & 0o022) return undefined;
    const bytes = readFileSync(file);
    return bytes.toString('latin1', 0, id.length) === id ? bytes.subarray(id.length) : undefined;
  } finally {
    closeSync(file);
  }
}

function keepCompiled(path: string, bytes: Buffer): void {
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, bytes, { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    // The call has been done; the next one is as slow as this one was.
  }
}

start();
