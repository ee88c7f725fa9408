import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

/**
 * netlink's codecs as ECMAScript modules, so that a bundle has of them what it uses: they describe every kind of
 * link there is, and a process for one call would spend a tenth of its time on the kinds that it never sees.
 *
 * They are what tsc emits for CommonJS, which says line by line what it was made from.
 */
export const netlinkModules: Plugin = {
  name: 'netlink-modules',
  setup({ onLoad }) {
    onLoad({ filter: /[/]netlink[/]dist[/](structs|rt[/]\w+)\.js$/ }, ({ path }) => ({
      contents: asModule(readFileSync(path, 'utf8'), path),
      loader: 'js',
    }));
  },
};

/** @throws Error where something is left that only CommonJS has. */
export function asModule(commonJs: string, path: string): string {
  const [, code] = /^Object\.defineProperty\(exports, "__esModule".*$([\s\S]*)/m.exec(commonJs) ?? [];
  if (code === undefined) throw new Error(`${path} is not as tsc emits CommonJS`);
  const module = rewrites.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), code);
  const left = /^.*\b(exports|require|__\w*Star)\b.*$/m.exec(module.replace(/^\s*(\/\/|\*|\/\*).*$/gm, ''));
  if (left) throw new Error(`${path}: no module can be made of: ${left[0]}`);
  return module;
}

const rewrites: readonly (readonly [RegExp, string])[] = [
  [/^exports\.[^;]* = void 0;$/gm, ''],
  [/^const (\w+) = (?:__importStar\()?require\((".*")\)\)?;$/gm, 'import * as $1 from $2;'],
  [/^__exportStar\(require\((".*")\), exports\);$/gm, 'export * from $1;'],
  [/^exports\.(\w+) = \1;$/gm, 'export { $1 };'],
  [/^exports\.(\w+) = /gm, 'export const $1 = '],
  // An enumeration: its function has no effect but the object that it fills.
  [
    /^var (\w+);$\n^\(function \(\1\) \{$([\s\S]*?)^\}\)\(\1 = exports\.\1 \|\| \(exports\.\1 = \{\}\)\);$/gm,
    'export const $1 = /* @__PURE__ */ (function ($1) {$2return $1;\n})({});',
  ],
  [/\bexports\.(\w+)/g, '$1'],
];
