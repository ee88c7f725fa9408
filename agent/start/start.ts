/**
 * How weftd starts: the bundle in ../lib, with the code that V8 compiled for an earlier start. Without that, a
 * start takes twice as long.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import type { main } from '../main.ts';
import { readCompiled, writeCompiled } from './compiled-code.ts';

const bundle = join(dirname(__filename), '../lib/weftd.js');
/** As systemd names it; a unit's own state directory is the default one. */
const compiled = join(process.env.STATE_DIRECTORY ?? '/var/lib/weft', 'compiled/weftd');

function start(): void {
  // Pure ASCII, as esbuild writes it: one byte for each character.
  const source = readFileSync(bundle, 'latin1');
  // The first line is the bundle's digest.
  const name = source.slice(0, source.indexOf('\n'));
  const cachedData = readCompiled(compiled, name);
  const script = new Script(source, { filename: bundle, ...(cachedData ? { cachedData } : {}) });
  const known = cachedData !== undefined && !script.cachedDataRejected;
  const module: { exports: { main?: typeof main } } = { exports: {} };
  // The bundle is one function, of what CommonJS gives its modules.
  script.runInThisContext()(module.exports, createRequire(bundle), module, bundle, dirname(bundle));
  module.exports.main?.({
    keepCompiled: known ? undefined : () => writeCompiled(compiled, name, script.createCachedData()),
  });
}

start();
