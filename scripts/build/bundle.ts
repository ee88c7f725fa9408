import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { lean } from './lean.ts';
import { netlinkModules } from './netlink-modules.ts';

/** Where a bundle in a folder of dist/ finds koffi's native file. */
const koffiBeside: Plugin = {
  name: 'koffi-beside',
  setup({ onResolve }) {
    onResolve({ filter: /^koffi$/ }, () => ({ path: '../native/koffi.node', external: true }));
  },
};

/** etcd's protocol definitions are read from a package: a bundle has what was read inside. */
const etcdProtocolInside: Plugin = {
  name: 'etcd-protocol-inside',
  setup({ onLoad }) {
    onLoad({ filter: /agent[/]lease[/]store[/]etcd[/]definitions\.ts$/ }, async () => ({
      contents:
        `export const definitions = ` +
        `${JSON.stringify((await import('../../agent/lease/store/etcd/definitions.ts')).definitions)};`,
      loader: 'js',
    }));
  },
};

/** The status page's files. */
const pageInside: Plugin = {
  name: 'page-inside',
  setup({ onLoad }) {
    onLoad({ filter: /agent[/]page[/]assets\.ts$/ }, async () => ({
      contents: `export const assets = ${JSON.stringify((await import('../../agent/page/assets.ts')).assets)};`,
      loader: 'js',
    }));
  },
};

/**
 * dockerode brings what builds images and reaches Docker over SSH (gRPC, an archiver, an SSH client): most of its
 * size, and nothing that weft has a use for. Whoever asks for it all the same is told.
 */
const dockerWithoutBuilds: Plugin = {
  name: 'docker-without-builds',
  setup({ onResolve, onLoad }) {
    const namespace = 'left-out';
    const filter = /^(ssh2|tar-fs|@balena\/dockerignore|\.\/session|\.\/buildkit)$/;
    onResolve({ filter }, ({ path, importer }) =>
      /node_modules\/docker(ode|-modem)\//.test(importer) ? { path, namespace } : undefined,
    );
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `module.exports = () => { throw new Error(${JSON.stringify(`${path} is not part of weft`)}); };`,
      loader: 'js',
    }));
  },
};

/** One CommonJS file of all that `entry` imports. A warning is an error: it would be one on the node that runs it. */
export async function bundle(options: {
  root: string;
  entry: string;
  version: string;
  /** Its process lives for one call: what that does not need must not be loaded. */
  brief: boolean;
}): Promise<string> {
  const extra = options.brief ? lean(options.root) : undefined;
  const { outputFiles, warnings } = await build({
    absWorkingDir: options.root,
    entryPoints: [join(options.root, options.entry)],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minifyWhitespace: true,
    // V8 makes a string of every name in each process.
    minifyIdentifiers: options.brief,
    minifySyntax: options.brief,
    legalComments: 'inline',
    define: { WEFT_VERSION: JSON.stringify(options.version), ...extra?.define },
    inject: extra?.inject ?? [],
    plugins: [
      koffiBeside,
      etcdProtocolInside,
      pageInside,
      dockerWithoutBuilds,
      netlinkModules,
      ...(extra?.plugins ?? []),
    ],
    logLevel: 'warning',
  });
  const [file] = outputFiles;
  if (warnings.length > 0 || file === undefined) throw new Error(`bundling ${options.entry} gave warnings`);
  return file.text;
}
