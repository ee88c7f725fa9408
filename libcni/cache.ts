/**
 * The result cache: what ADD answered, kept for CHECK, DEL and GC (CNI specification, section 4; the file
 * format is libcni's `cniCacheV1`, so that this and another runtime's library find each other's).
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject, type Json, parseObject } from '../json/object.ts';

export const defaultCacheDir = '/var/lib/cni/results';

const kind = 'cniCacheV1';

export interface CachedAttachment {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  /** The network's configuration as it was at ADD. */
  readonly source: string;
  readonly cniArgs: readonly (readonly [key: string, value: string])[];
  readonly capabilityArgs: Json;
  /** ADD's final result, in the version of the network. */
  readonly result: Json;
}

export type CacheKey = Pick<CachedAttachment, 'network' | 'containerId' | 'ifname'>;

export class ResultCache {
  readonly folder: string;

  constructor(folder: string = defaultCacheDir) {
    this.folder = folder;
  }

  /** Undefined if there is none, or one that cannot be read: DEL must go on without. */
  async read(key: CacheKey): Promise<CachedAttachment | undefined> {
    return decode(await readFile(this.#path(key), 'utf8').catch(() => ''));
  }

  async write(attachment: CachedAttachment): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const path = this.#path(attachment);
    const unfinished = `${path}.${process.pid}.tmp`;
    await writeFile(unfinished, JSON.stringify(encode(attachment)), { mode: 0o600 });
    await rename(unfinished, path);
  }

  async remove(key: CacheKey): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  /** What is cached for a network. */
  async list(network: string): Promise<CachedAttachment[]> {
    const names = await readdir(this.folder).catch(() => []);
    const texts = await Promise.all(
      names.map((name) => readFile(join(this.folder, name), 'utf8').catch(() => '')),
    );
    return texts.flatMap((text) => decode(text) ?? []).filter((each) => each.network === network);
  }

  #path({ network, containerId, ifname }: CacheKey): string {
    return join(this.folder, `${network}-${containerId}-${ifname}`);
  }
}

const encode = (attachment: CachedAttachment): Json => ({
  kind,
  containerId: attachment.containerId,
  config: Buffer.from(attachment.source).toString('base64'),
  ifName: attachment.ifname,
  networkName: attachment.network,
  netns: attachment.netns || undefined,
  cniArgs: attachment.cniArgs.length > 0 ? attachment.cniArgs : undefined,
  capabilityArgs: attachment.capabilityArgs,
  result: attachment.result,
});

function decode(text: string): CachedAttachment | undefined {
  const value = parseObject(text);
  if (value?.kind !== kind) return undefined;
  const { containerId, config, ifName, networkName, netns = '', cniArgs, capabilityArgs, result } = value;
  if (typeof containerId !== 'string' || typeof ifName !== 'string' || typeof networkName !== 'string') {
    return undefined;
  }
  if (!isObject(result) || typeof netns !== 'string' || typeof config !== 'string') return undefined;
  return {
    containerId,
    netns,
    result,
    network: networkName,
    ifname: ifName,
    source: Buffer.from(config, 'base64').toString(),
    cniArgs: Array.isArray(cniArgs) ? cniArgs.filter(isPair) : [],
    capabilityArgs: isObject(capabilityArgs) ? capabilityArgs : {},
  };
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === 'string');
