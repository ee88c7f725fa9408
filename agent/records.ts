/** What is on record of this node's pods, read again only where a record has changed. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatCidr, networkOf } from '../inet/cidr.ts';
import { readBootId } from '../kernel/boot.ts';
import { isErrno } from '../kernel/errno.ts';
import { type Attachment, decodeAttachment } from '../plugin/attach/attachment.ts';
import { hostInterfaceOf } from '../plugin/attach/names.ts';
import type { PodNetwork, Pods } from './firewall/desired.ts';

interface Known {
  /** Records are written in place: they grow, or begin anew. */
  readonly stamp: string;
  readonly attachment: Attachment | undefined;
}

export class PodRecords {
  readonly #directory: string;
  readonly #bootId = readBootId();
  #known: ReadonlyMap<string, Known> = new Map();
  #pods: Pods = { made: [], interfaces: new Set(), networks: [] };
  #attachments: readonly Attachment[] = [];

  constructor(runDir: string) {
    this.#directory = join(runDir, 'attachments');
  }

  /** The same object as long as nothing has changed. */
  get pods(): Pods {
    this.#refresh();
    return this.#pods;
  }

  /** Of this boot, finished or not. The same object as long as nothing has changed. */
  get attachments(): readonly Attachment[] {
    this.#refresh();
    return this.#attachments;
  }

  /** Names of the bridges that pods are on. */
  get bridges(): readonly string[] {
    return [...new Set(this.attachments.map(({ bridge }) => bridge))];
  }

  #refresh(): void {
    const known = new Map<string, Known>();
    let same = true;
    for (const file of this.#files()) {
      const before = this.#known.get(file);
      const stat = statSync(join(this.#directory, file), { throwIfNoEntry: false, bigint: true });
      if (!stat) continue;
      const stamp = `${stat.ino} ${stat.size} ${stat.ctimeNs}`;
      if (before?.stamp === stamp) {
        known.set(file, before);
        continue;
      }
      const text = this.#text(file);
      if (text === undefined) continue;
      known.set(file, { stamp, attachment: decodeAttachment(text) });
      same = false;
    }
    if (same && known.size === this.#known.size) return;
    this.#known = known;
    const all = [...known.values()].flatMap(({ attachment }) => attachment ?? []);
    this.#attachments = all.filter(({ bootId }) => bootId === this.#bootId);
    this.#pods = {
      made: this.#attachments.filter(({ phase }) => phase === 'complete'),
      interfaces: new Set([...known.keys()].map(hostInterfaceOf)),
      networks: podNetworks(this.#attachments),
    };
  }

  #files(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => name.endsWith('.json'));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #text(file: string): string | undefined {
    try {
      return readFileSync(join(this.#directory, file), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}

/** The networks of addresses on bridges, each once and in order. */
function podNetworks(attachments: readonly Attachment[]): PodNetwork[] {
  const all = new Map<string, PodNetwork>();
  for (const { bridge, addresses } of attachments) {
    for (const { address, length } of addresses) {
      const network = networkOf(address, length);
      all.set(`${bridge} ${formatCidr(network)}`, { bridge, network });
    }
  }
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, network]) => network);
}
