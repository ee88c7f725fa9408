/**
 * Network configurations as a runtime reads them (CNI specification 1.1.0, section 1; `libcni/conf.go` of
 * the CNI repository): lists of plugins, and the single ones of before 1.0.0.
 */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isObject, type Json } from '../json/object.ts';
import { isErrno } from '../kernel/errno.ts';
import { checkNetworkName } from '../plugin/protocol/names.ts';
import { type CniVersion, cniVersions, isCniVersion } from '../plugin/protocol/version.ts';
import { NetworkError } from './errors.ts';

export interface Network {
  readonly name: string;
  /** The version for calls of plugins: the highest that the list offers and weft supports. */
  readonly cniVersion: CniVersion;
  /** In the order of ADD; never empty. */
  readonly plugins: readonly PluginConfig[];
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  /** The file's bytes, which the result cache keeps. */
  readonly source: string;
}

export interface PluginConfig {
  /** The name of its executable. */
  readonly type: string;
  /** Capabilities that the configuration declares as true. */
  readonly capabilities: ReadonlySet<string>;
  readonly config: Json;
}

const networkFiles = /\.(conf|conflist|json)$/;

/**
 * The network of a directory that a runtime would use: its first file by name. Undefined if it has none;
 * NetworkError if that file is no network configuration.
 */
export async function firstNetwork(folder: string): Promise<Network | undefined> {
  const [first] = await filesOf(folder, networkFiles);
  return first === undefined ? undefined : await readNetwork(first);
}

/** Every network of a directory, by file name. */
export async function readNetworks(folder: string): Promise<Network[]> {
  const files = await filesOf(folder, networkFiles);
  return await Promise.all(files.map((file) => readNetwork(file)));
}

/**
 * One file. A list's plugins are also looked for in `<folder>/<network>/*.conf` beside it, unless it says
 * `loadOnlyInlinedPlugins`.
 */
export async function readNetwork(file: string): Promise<Network> {
  const text = await readFile(file, 'utf8');
  return await naming(file, async () => {
    const value = objectIn(text);
    if (!Array.isArray(value.plugins) && 'type' in value) return ofSinglePlugin(value, text);
    const inlined = listed(value);
    const dropIns = value.loadOnlyInlinedPlugins === true ? [] : await readDropIns(file, value.name);
    return networkOf(value, [...inlined, ...dropIns], text);
  });
}

/** A network from the text of a list or of a single plugin's configuration. */
export function parseNetwork(text: string): Network {
  const value = objectIn(text);
  if (!Array.isArray(value.plugins) && 'type' in value) return ofSinglePlugin(value, text);
  return networkOf(value, listed(value), text);
}

const ofSinglePlugin = (value: Json, text: string): Network => networkOf(value, [pluginOf(value)], text);

function networkOf(value: Json, plugins: readonly PluginConfig[], source: string): Network {
  const { name } = value;
  if (typeof name !== 'string' || name === '')
    throw new NetworkError('"name" is missing: give the network one');
  checkNetworkName(name);
  if (plugins.length === 0) throw new NetworkError('no plugins: list at least one under "plugins"');
  return {
    name,
    plugins,
    source,
    cniVersion: versionOf(value),
    disableCheck: flag(value, 'disableCheck'),
    disableGC: flag(value, 'disableGC'),
  };
}

const listed = (value: Json): PluginConfig[] => {
  const plugins = value.plugins ?? [];
  if (!Array.isArray(plugins)) throw new NetworkError('"plugins" must be a list');
  return plugins.map(pluginOf);
};

function pluginOf(config: unknown): PluginConfig {
  if (!isObject(config)) throw new NetworkError('each of "plugins" must be an object');
  const { type, capabilities = {} } = config;
  if (typeof type !== 'string' || type === '') throw new NetworkError('a plugin has no "type"');
  if (type.includes('/')) throw new NetworkError(`plugin type ${JSON.stringify(type)} is a path, not a name`);
  if (!isObject(capabilities)) throw new NetworkError(`"capabilities" of plugin ${type} must be an object`);
  const declared = Object.keys(capabilities).filter((name) => capabilities[name] === true);
  return { type, config, capabilities: new Set(declared) };
}

/** `cniVersion` and the alternatives in `cniVersions` (since 1.1.0); a list without any is of the first version. */
function versionOf(value: Json): CniVersion {
  const alternatives = Array.isArray(value.cniVersions) ? value.cniVersions : [];
  const offered = [value.cniVersion || '0.1.0', ...alternatives];
  const known = offered.filter((each): each is CniVersion => typeof each === 'string' && isCniVersion(each));
  const highest = cniVersions.findLast((each) => known.includes(each));
  if (!highest)
    throw new NetworkError(`cniVersion ${JSON.stringify(offered)} is none of ${cniVersions.join(', ')}`);
  return highest;
}

/** The specification has booleans; lists with the words in quotes exist and libcni takes them. */
function flag(value: Json, key: string): boolean {
  const text = String(value[key] ?? false).toLowerCase();
  if (text !== 'true' && text !== 'false') throw new NetworkError(`"${key}" must be true or false`);
  return text === 'true';
}

async function readDropIns(file: string, name: unknown): Promise<PluginConfig[]> {
  if (typeof name !== 'string') return [];
  checkNetworkName(name);
  const files = await filesOf(join(dirname(file), name), /\.conf$/);
  return await Promise.all(
    files.map((each) => naming(each, async () => pluginOf(objectIn(await readFile(each, 'utf8'))))),
  );
}

async function filesOf(folder: string, pattern: RegExp): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const names = entries.filter((each) => !each.isDirectory() && pattern.test(each.name));
    return names.map((each) => join(folder, each.name)).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function objectIn(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NetworkError(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!isObject(value)) throw new NetworkError('not a JSON object');
  return value;
}

async function naming<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new NetworkError(`${file}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
