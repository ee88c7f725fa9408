/**
 * The CNI configuration on this host: in its place says to a runtime that pods can be made, so it is put there
 * once they can. A file that somebody has edited is theirs: a copy of what was written last tells it from ours.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DiskError, replaceFile } from '../disk/replace-file.ts';
import { isErrno } from '../kernel/errno.ts';
import { reasonOf } from '../problem/reason.ts';
import { AgentError } from './errors.ts';

export interface ConflistPlace {
  /** Where runtimes look: `/etc/cni/net.d`. */
  readonly directory: string;
  readonly stateDir: string;
}

export const conflistDirectory = '/etc/cni/net.d';
export const conflistName = '10-weft.conflist';

/**
 * Debian 12's runtimes stop at CNI 1.0.0; newer ones look for the highest of `cniVersions`. No `ipRanges`: the
 * leased subnet is the only one that peers know the way to.
 */
export const conflist = {
  cniVersion: '1.0.0',
  cniVersions: ['1.0.0', '1.1.0'],
  name: 'weft',
  plugins: [{ type: 'weft', capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true } }],
} as const;

/** `written`: it was absent, or weft's of an earlier version; `kept`: it is as desired; `edited`: it is not weft's. */
export type ConflistOutcome = 'written' | 'kept' | 'edited';

/**
 * Puts the configuration in place, atomically; call it whenever pods can be made. The copy in stateDir is written
 * where that is possible: without it only a later version of weft cannot recognise this file as its own.
 *
 * @throws AgentError `state`, DiskError where the configuration itself cannot be read or written
 */
export function ensureConflist(place: ConflistPlace): ConflistOutcome {
  const desired = `${JSON.stringify(conflist, null, 2)}\n`;
  const found = read(pathOf(place));
  if (found === desired) {
    ensureCopy(place, desired);
    return 'kept';
  }
  if (found !== undefined && found !== read(copyOf(place))) return 'edited';
  // In this order: a crash in between leaves a file that is recognised by its content.
  replaceFile({ path: pathOf(place), content: desired });
  ensureCopy(place, desired);
  return 'written';
}

function ensureCopy(place: ConflistPlace, content: string): void {
  const path = copyOf(place);
  try {
    if (read(path) !== content) replaceFile({ path, content });
  } catch (error) {
    if (!(error instanceof AgentError) && !(error instanceof DiskError)) throw error;
  }
}

/**
 * Takes the configuration away, so that no runtime asks for pods here; an edited one is left, for it may be wanted.
 *
 * @throws AgentError `state`
 */
export function teardownConflist(place: ConflistPlace): 'removed' | 'absent' | 'edited' {
  const found = read(pathOf(place));
  const isOurs = found === read(copyOf(place));
  if (found !== undefined && !isOurs) return 'edited';
  remove(pathOf(place));
  remove(copyOf(place));
  return found === undefined ? 'absent' : 'removed';
}

/**
 * Configurations that a runtime takes in place of ours: of all in the directory it takes the first by name (containerd,
 * CRI-O). Empty where ours is not there.
 *
 * @throws AgentError `state`
 */
export function configurationsBefore(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw new AgentError('state', `${directory} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  if (!names.includes(conflistName)) return [];
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < conflistName).sort();
}

const pathOf = ({ directory }: ConflistPlace): string => join(directory, conflistName);
const copyOf = ({ stateDir }: ConflistPlace): string => join(stateDir, conflistName);

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new AgentError('state', `failed to read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw new AgentError('state', `failed to remove ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
