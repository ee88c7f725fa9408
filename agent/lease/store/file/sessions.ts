/** Sessions of the file store: what etcd's leases are there. To be used by whoever holds the folder's lock. */
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import type { Clock } from '../../../../clock/clock.ts';
import { field, parseObject } from '../../../../json/object.ts';
import { type Folder, isRecordName } from './folder.ts';

export interface Session {
  readonly id: string;
  readonly ttlSeconds: number;
  readonly keys: readonly string[];
}

export class Sessions {
  readonly #folder: Folder;
  readonly #clock: Clock;
  readonly #boot: string;

  constructor(folder: Folder, clock: Clock, boot: string) {
    this.#folder = folder;
    this.#clock = clock;
    this.#boot = boot;
  }

  open(ttlSeconds: number): Session {
    const session = { id: randomBytes(8).toString('hex'), ttlSeconds, keys: [] };
    this.beat(session.id);
    this.#folder.replace(`weft/sessions/${session.id}`, encode(session));
    return session;
  }

  all(): Session[] {
    return this.#folder.names('weft/sessions').flatMap((id) => this.get(id) ?? []);
  }

  get(id: string): Session | undefined {
    if (!/^[0-9a-f]+$/.test(id)) return undefined;
    const object = parseObject(this.#folder.read(`weft/sessions/${id}`)?.value ?? '');
    const ttl = object && field(object, 'ttlSeconds');
    const keys = object && field(object, 'keys');
    if (typeof ttl !== 'number' || !Array.isArray(keys)) return undefined;
    return { id, ttlSeconds: ttl, keys: keys.filter((key) => typeof key === 'string' && isRecordName(key)) };
  }

  beat(id: string): void {
    this.#folder.replace(`weft/heartbeats/${id}`, `${this.#boot} ${this.#clock.now()}`);
  }

  /** Seconds since the last heartbeat; infinite if it is of another boot, when nobody of then can be alive. */
  silentSeconds(id: string): number {
    const [boot, heardMs] = this.#heartbeat(id);
    return boot === this.#boot ? Math.max(0, (this.#clock.now() - heardMs) / 1000) : Number.POSITIVE_INFINITY;
  }

  hasEnded(session: Session): boolean {
    const [boot] = this.#heartbeat(session.id);
    const silent = boot === this.#boot ? this.silentSeconds(session.id) : this.#wallSilentSeconds(session.id);
    return silent > session.ttlSeconds;
  }

  /** What ending a session changes in the folder. */
  ending(session: Session): Map<string, undefined> {
    const names = [...session.keys, `weft/sessions/${session.id}`, `weft/heartbeats/${session.id}`];
    return new Map(names.map((name) => [name, undefined]));
  }

  #heartbeat(id: string): [boot: string, heardMs: number] {
    const [boot = '', heard = ''] = (this.#folder.read(`weft/heartbeats/${id}`)?.value ?? '').split(' ');
    return [boot, Number(heard)];
  }

  /** Over a reboot only the wall clock tells; a lease is worth keeping as long as that says so. */
  #wallSilentSeconds(id: string): number {
    try {
      return (this.#clock.wallNow() - lstatSync(this.#folder.path(`weft/heartbeats/${id}`)).mtimeMs) / 1000;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}

export const encode = (session: Session): string =>
  JSON.stringify({ ttlSeconds: session.ttlSeconds, keys: session.keys });
