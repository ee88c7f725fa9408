/** stdin as far as every verb needs it: an object, the network's name, the version it is written for. */
import { CniError } from '../errors.ts';
import type { Verb } from './environment.ts';
import { Fields } from './fields.ts';
import { checkNetworkName } from './names.ts';
import { atLeast, type CniVersion, cniVersions, isCniVersion } from './version.ts';

export interface Input {
  readonly fields: Fields;
  readonly name: string;
  readonly version: CniVersion;
}

/** A configuration that names no version is of the first (`pkg/types/create`; not 0.2.0, as a guide says). */
const assumedVersion: CniVersion = '0.1.0';

/** The verbs that came later, and with which version. */
const verbSince: Readonly<Partial<Record<Verb, CniVersion>>> = {
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

/** CniError: code 6 (no JSON), 7 (no name, or not a name). */
export function decodeInput(stdin: Uint8Array): { fields: Fields; name: string } {
  const fields = parseObject(stdin);
  const name = fields.string('name');
  if (name === undefined) throw new CniError('invalid-config', 'missing network name');
  checkNetworkName(name);
  return { fields, name };
}

/** CniError: code 1 for a version that we do not speak or that has no such verb, 6 for what is no version. */
export function versionFor(verb: Verb, fields: Fields): CniVersion {
  const text = fields.string('cniVersion') ?? assumedVersion;
  const since = verbSince[verb];
  if (since && !/^\d+(\.\d+){0,2}$/.test(text)) {
    throw new CniError('undecodable', `cniVersion ${JSON.stringify(text)} is not a version`);
  }
  if (!isCniVersion(text)) {
    throw new CniError(
      'incompatible-version',
      'incompatible CNI versions',
      `config is ${JSON.stringify(text)}, plugin supports ${JSON.stringify(cniVersions)}`,
    );
  }
  if (since && !atLeast(text, since)) {
    throw new CniError(
      'incompatible-version',
      `config version does not allow ${verb}`,
      `config is ${JSON.stringify(text)}, ${verb} exists since ${since}`,
    );
  }
  return text;
}

/** The version in which to answer, whatever else is wrong with the input; undefined if it cannot be told. */
export function versionIn(stdin: Uint8Array): CniVersion | undefined {
  try {
    const text = parseObject(stdin).string('cniVersion') ?? assumedVersion;
    return isCniVersion(text) ? text : undefined;
  } catch {
    return undefined; // what is wrong with it is reported by whoever needs it
  }
}

function parseObject(stdin: Uint8Array): Fields {
  const text = Buffer.from(stdin.buffer, stdin.byteOffset, stdin.byteLength).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CniError('undecodable', `the network configuration on stdin is not JSON: ${why}`);
  }
  return Fields.of(value, '');
}
