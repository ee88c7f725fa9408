/** The options of `weftctl pod`, and what they mean. */
import { type Command, InvalidArgumentError } from 'commander';
import { type PodKey, parseKey } from '../pod/manifest/key.ts';
import { UsageError } from './usage-error.ts';

export interface PlaceOptions {
  readonly config?: string;
}

export interface NamedOptions extends PlaceOptions {
  readonly namespace: string;
}

export interface ApplyFlags {
  readonly filename: readonly string[];
  readonly strict: boolean;
  readonly pauseImage?: string;
  readonly timeout: number;
}

export interface LogFlags {
  readonly container?: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tail?: number;
  readonly since?: number;
  readonly timestamps: boolean;
}

export interface ExecFlags {
  readonly container?: string;
  readonly stdin: boolean;
  readonly tty: boolean;
}

export interface RemoveFlags {
  readonly filename: readonly string[];
  readonly gracePeriod?: number;
  readonly timeout: number;
  readonly all: boolean;
  readonly ignoreNotFound: boolean;
}

export const withPlace = (command: Command): Command =>
  command.option('--config <file>', 'configuration file (default: WEFT_CONFIG, /etc/weft/weft.yaml)');

export const withName = (command: Command): Command =>
  withPlace(command).option('-n, --namespace <namespace>', 'namespace of the pod', 'default');

export async function placesOf({ config }: PlaceOptions) {
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  return loadConfig(configSource({ flag: config, env: process.env })).config;
}

/** `name`, or `namespace/name`. */
export function keyNamed(name: string, { namespace }: NamedOptions): PodKey {
  const key = parseKey(name.includes('/') ? name.replace('/', '_') : `${namespace}_${name}`);
  if (key === undefined)
    throw new UsageError(`invalid pod name ${JSON.stringify(name)}; give NAME or NAMESPACE/NAME`);
  return key;
}

export const collect = (file: string, before: readonly string[]): string[] => [...before, file];

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}
