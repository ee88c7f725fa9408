/**
 * CNI_ARGS: `KEY=VALUE;KEY=VALUE` (CNI specification, section 2; grammar of `pkg/types/args.go`). Keys
 * repeat and come in any order in what runtimes really send; the last of a key counts.
 */
import { CniError } from '../errors.ts';

const known = [
  'IP',
  'MAC',
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
] as const;

export type CniArgs = Readonly<Partial<Record<(typeof known)[number], string>>>;

const booleans = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
]);

/** CniError (code 4) for a pair without exactly one `=`, and for a key nobody knows without `IgnoreUnknown`. */
export function parseCniArgs(text: string): CniArgs {
  if (text === '') return {};
  const pairs = text.split(';').map(splitPair);
  const args: Partial<Record<string, string>> = {};
  const unknown: string[] = [];
  for (const [key, value] of pairs) {
    if (known.some((each) => each === key)) args[key] = value;
    else unknown.push(`${key}=${value}`);
  }
  if (unknown.length > 0 && !ignoresUnknown(args.IgnoreUnknown)) {
    throw new CniError('invalid-environment', `CNI_ARGS: unknown args ${JSON.stringify(unknown)}`);
  }
  return args;
}

function splitPair(pair: string): [key: string, value: string] {
  const [key = '', value, ...more] = pair.split('=');
  if (value === undefined || more.length > 0) {
    throw new CniError('invalid-environment', `CNI_ARGS: invalid pair ${JSON.stringify(pair)}`);
  }
  return [key, value];
}

function ignoresUnknown(text: string | undefined): boolean {
  if (text === undefined) return false;
  const value = booleans.get(text.toLowerCase());
  if (value === undefined) {
    throw new CniError(
      'invalid-environment',
      `CNI_ARGS: IgnoreUnknown must be true or false, not ${JSON.stringify(text)}`,
    );
  }
  return value;
}
