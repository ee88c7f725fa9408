import { join } from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * What few calls need, and what takes node longer to load than a call takes. A name that is missing fails the
 * build.
 */
const lateModules: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['spawnSync'],
  'node:crypto': ['createHash'],
  'node:net': ['connect'],
  'node:timers/promises': ['setTimeout'],
};

/** Modules of node that are loaded by the first call of one of their functions. */
const loadedLate: Plugin = {
  name: 'loaded-late',
  setup({ onResolve, onLoad }) {
    const namespace = 'loaded-late';
    onResolve({ filter: /^node:/ }, ({ path, importer, namespace: from }) =>
      path in lateModules && from !== namespace && importer
        ? { path, namespace, sideEffects: false }
        : { path, external: true },
    );
    onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: (lateModules[path] ?? [])
        .map(
          (name) => `export const ${name} = (...args) => require(${JSON.stringify(path)}).${name}(...args);`,
        )
        .join('\n'),
      loader: 'js',
    }));
  },
};

/** For a bundle whose process lives for one call. */
export const lean = (root: string) => ({
  plugins: [loadedLate],
  // The global object of that name loads a dozen modules when it is first touched.
  define: { 'performance.now': 'monotonicMs' },
  inject: [join(root, 'plugin/launcher/monotonic.ts')],
});
