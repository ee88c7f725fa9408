/** The store as this node reaches it: asked once for all checks, with a write that leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { reasonOf } from '../../problem/reason.ts';
import type { Config, RecordStoreConfig } from '../config/config.ts';
import { openStore } from '../lease/store/open-store.ts';
import { absent, type LeaseStore } from '../lease/store/store.ts';
import { ClusterView } from '../lease/view/view.ts';
import type { HeldSubnet, StoreLook } from './store-look.ts';

/** A store that does not answer is not waited for any longer. */
const PATIENCE_MS = 4_000;
/** Nobody reads it: it shows that this node may write. */
const CHECK_FOLDER = 'weft/answers/';

export class StoreReader {
  readonly #config: Config;
  readonly #signal: AbortSignal;
  #look: Promise<StoreLook> | undefined;
  #store: LeaseStore | undefined;

  constructor(config: Config, signal: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
  }

  look(): Promise<StoreLook> {
    const { store } = this.#config;
    this.#look ??= store.type === 'kubernetes' ? this.#kubernetes() : this.#records(store);
    return this.#look;
  }

  close(): void {
    this.#store?.close();
  }

  async #records(config: RecordStoreConfig): Promise<StoreLook> {
    const description = config.type === 'file' ? `file ${config.path}` : `etcd ${config.prefix}`;
    const nothing = { description, subnets: [], unwritable: undefined, roundTripMs: undefined };
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(PATIENCE_MS)]);
    if (config.type === 'file' && !existsSync(config.path))
      return { ...nothing, unreadable: undefined, absent: true };
    try {
      this.#store = await openStore(config);
      const sinceMs = performance.now();
      const snapshot = await this.#store.list(signal);
      const roundTripMs = performance.now() - sinceMs;
      const view = new ClusterView();
      view.apply({ type: 'list', ...snapshot });
      const subnets = await this.#held(this.#store, view, signal);
      const unwritable = await this.#writes(this.#store, signal);
      return {
        description: this.#store.description,
        unreadable: undefined,
        unwritable,
        subnets,
        roundTripMs,
      };
    } catch (error) {
      return { ...nothing, unreadable: reasonOf(error) };
    }
  }

  #held(store: LeaseStore, view: ClusterView, signal: AbortSignal): Promise<HeldSubnet[]> {
    return Promise.all(
      [...view.subnets()].map(async (record) => {
        const owner = view.ownerOf(record);
        const silentSeconds =
          owner?.session === undefined ? undefined : await store.silence(owner.session, signal);
        return { record, owner, silentSeconds };
      }),
    );
  }

  /** Writes and removes a record in a folder of weft's own. */
  async #writes(store: LeaseStore, signal: AbortSignal): Promise<string | undefined> {
    const key = `${CHECK_FOLDER}check-${randomBytes(8).toString('hex')}`;
    try {
      const put = { type: 'put', key, value: '{}', session: undefined } as const;
      await store.commit({ compare: [{ key, version: absent }], write: [put] }, signal);
      await store.commit({ compare: [], write: [{ type: 'delete', key }] }, signal);
      return undefined;
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** The Nodes can be listed; what may be written is asked of the API server, and nothing is written. */
  async #kubernetes(): Promise<StoreLook> {
    const { kubernetesLook } = await import('./kubernetes-look.ts');
    return kubernetesLook(this.#config, AbortSignal.any([this.#signal, AbortSignal.timeout(PATIENCE_MS)]));
  }
}
