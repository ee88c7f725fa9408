/** Which file weft.yaml is, and reading it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../../kernel/errno.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Config } from './config.ts';
import { ConfigError } from './error.ts';
import { netConfAsYaml, netConfName } from './net-conf.ts';
import { readConfig } from './read.ts';

export const defaultConfigPath = '/etc/weft/weft.yaml';

export interface ConfigSource {
  readonly path: string;
  /** Somebody named it: then it has to exist. */
  readonly named: boolean;
}

/** `--config` before `WEFT_CONFIG` before the default path. */
export function configSource(given: {
  readonly flag?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}): ConfigSource {
  const name = given.flag ?? (given.env.WEFT_CONFIG || undefined);
  return name === undefined ? { path: defaultConfigPath, named: false } : { path: name, named: true };
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file it came from; undefined: there is none at the default path, so it is all defaults. */
  readonly path: string | undefined;
}

/**
 * Loads the configuration, and makes sure that the files it names can be read. Where there is no weft.yaml at the
 * default path, flannel's net-conf.json beside it is read.
 *
 * @throws ConfigError with all that is wrong, a line for each
 */
export function loadConfig({ path, named }: ConfigSource): LoadedConfig {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && !named) {
      const netConf = join(dirname(path), netConfName);
      if (existsSync(netConf)) return loadConfig({ path: netConf, named: true });
      return { config: readConfig(path, ''), path: undefined };
    }
    throw new ConfigError([
      { file: path, line: undefined, column: undefined, field: '', text: unreadable(error) },
    ]);
  }
  const yaml = basename(path) === netConfName ? netConfAsYaml(path, text) : text;
  return { config: readConfig(path, yaml, whyUnreadable), path };
}

function whyUnreadable(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return errnoOf(error) === 'ENOENT'
      ? `${path} does not exist`
      : `failed to read ${path}: ${reasonOf(error)}`;
  }
}

function unreadable(error: unknown): string {
  switch (errnoOf(error)) {
    case 'ENOENT':
      return 'does not exist; create it (an empty file means all defaults), or do not name it';
    case 'EACCES':
      return 'permission denied; run weftd as root, or allow it to read the file';
    case 'EISDIR':
      return 'is a directory; name the file in it';
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'is not UTF-8; save it as UTF-8';
    default:
      return `failed to read it: ${reasonOf(error)}`;
  }
}
