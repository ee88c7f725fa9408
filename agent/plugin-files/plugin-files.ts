/**
 * weft's executables in a directory where a runtime looks for plugins, put there from a container: `weft` always,
 * `loopback` where none is, because containerd up to 1.7 refuses every sandbox without one. A record in stateDir says
 * which files are weft's, by their digests, so that only those are replaced or removed.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../disk/replace-file.ts';
import { isErrno } from '../../kernel/errno.ts';
import { AgentError } from '../errors.ts';

export interface PluginFiles {
  /** Folder that has `weft` and `loopback`. */
  readonly from: string;
  /** The runtime's plugin directory. */
  readonly directory: string;
  readonly stateDir: string;
}

const names = ['weft', 'loopback'] as const;
type Name = (typeof names)[number];

/** `installed`: put there, or replaced by another version; `kept`: it is as it has to be; `foreign`: another's, left alone. */
export type PluginOutcome = 'installed' | 'kept' | 'foreign';

/**
 * Puts the executables in place, each by rename, because a runtime may be executing the one that it replaces.
 *
 * @throws AgentError `state` where `weft` is a link: a package of weft manages this node
 */
export function installPlugins(files: PluginFiles): Record<Name, PluginOutcome> {
  const weft = join(files.directory, 'weft');
  if (lstatSync(weft, { throwIfNoEntry: false })?.isSymbolicLink()) {
    const remedy = 'run "install.sh --uninstall" (or remove the package weft) on this node first';
    throw new AgentError(
      'state',
      `${weft} is a link, so weft is installed on this node as a package: ${remedy}`,
    );
  }
  mkdirSync(files.directory, { recursive: true });
  const known = readRecord(files);
  const outcomes = { weft: install(files, 'weft', true), loopback: 'foreign' as PluginOutcome };
  const loopback = digestOf(join(files.directory, 'loopback'));
  outcomes.loopback = install(files, 'loopback', loopback === undefined || loopback === known.loopback);
  const own = names.filter((name) => outcomes[name] !== 'foreign');
  const record = Object.fromEntries(own.map((name) => [name, digestOf(join(files.from, name))]));
  replaceFile({ path: recordPath(files), content: `${JSON.stringify(record)}\n` });
  return outcomes;
}

/** Removes the executables that are as `installPlugins` left them; returns their names. */
export function removePlugins(files: Omit<PluginFiles, 'from'>): string[] {
  const known = readRecord(files);
  const own = names.filter((name) => {
    const digest = digestOf(join(files.directory, name));
    return digest !== undefined && digest === known[name];
  });
  for (const name of own) rmSync(join(files.directory, name));
  rmSync(recordPath(files), { force: true });
  return own;
}

function install(files: PluginFiles, name: Name, ours: boolean): PluginOutcome {
  const [source, target] = [join(files.from, name), join(files.directory, name)];
  const present = digestOf(target);
  if (present === digestOf(source)) return name === 'weft' || ours ? 'kept' : 'foreign';
  if (!ours) return 'foreign';
  const temporary = join(files.directory, `.${name}.${process.pid}`);
  copyFileSync(source, temporary);
  renameSync(temporary, target);
  return 'installed';
}

const recordPath = ({ stateDir }: { stateDir: string }): string => join(stateDir, 'plugin-files.json');

/** SHA-256 of each file as it was installed; empty where nothing was. */
function readRecord(files: { stateDir: string }): Partial<Record<Name, string>> {
  try {
    const record: unknown = JSON.parse(readFileSync(recordPath(files), 'utf8'));
    if (typeof record !== 'object' || record === null) return {};
    const entries = Object.entries(record).filter(([, digest]) => typeof digest === 'string');
    return Object.fromEntries(entries) as Partial<Record<Name, string>>;
  } catch (error) {
    // A torn record is one that knows of nothing: what is there is left alone.
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return {};
    throw error;
  }
}

function digestOf(path: string): string | undefined {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
