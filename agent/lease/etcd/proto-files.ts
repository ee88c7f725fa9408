/**
 * etcd's protocol definitions, out of the npm package `etcd3`, of which weft uses nothing else. A bundle has
 * their text inside in place of this file (scripts/build/bundle.ts).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** In the order in which they import each other. */
export const protoFiles: readonly string[] = ['kv', 'auth', 'rpc'].map((name) =>
  readFileSync(require.resolve(`etcd3/proto/${name}.proto`), 'utf8'),
);
