/** The cluster's configuration: read from the store, or written where there is none; never contradicted. */
import type { Log } from '../../../log/log.ts';
import { LeaseError } from '../errors.ts';
import {
  type ClusterBackend,
  type ClusterConfig,
  configKey,
  contradictions,
  decodeClusterConfig,
  defaultRange,
  encodeClusterConfig,
} from '../flannel/cluster-config.ts';
import type { LeaseNetwork } from '../lease.ts';
import { absent, type LeaseStore, type StoreRecord } from '../store/store.ts';
import type { ClusterView } from '../view/view.ts';

export interface AgreementOptions {
  readonly store: LeaseStore;
  /** What this node is configured with. */
  readonly local: { readonly networks: readonly LeaseNetwork[]; readonly backend: ClusterBackend };
  readonly log: Log;
  readonly signal: AbortSignal;
}

export class Agreement {
  readonly #options: AgreementOptions;
  #record: StoreRecord | undefined;
  #cluster: ClusterConfig | undefined;

  constructor(options: AgreementOptions) {
    this.#options = options;
  }

  /** As last agreed on, or as it was saved; undefined before. */
  get cluster(): ClusterConfig | undefined {
    return this.#cluster;
  }

  remember(cluster: ClusterConfig): void {
    this.#cluster = cluster;
  }

  /** Undefined where there was none until now: look again. Throws `LeaseError` `cluster-config`, `StoreError`. */
  async reach(view: ClusterView): Promise<ClusterConfig | undefined> {
    const record = view.records.get(configKey);
    if (!record) {
      await this.#write();
      return undefined;
    }
    if (record !== this.#record) {
      this.#cluster = this.#read(record);
      this.#record = record;
    }
    return this.#cluster;
  }

  #read(record: StoreRecord): ClusterConfig {
    const { store, local } = this.#options;
    const where = `${store.description} ${configKey}`;
    const cluster = decodeClusterConfig(record.value, where);
    const differences = contradictions(local, cluster);
    if (differences.length === 0) return cluster;
    throw new LeaseError(
      'cluster-config',
      `this node is configured otherwise than the cluster (${where}): ${differences.join('; ')}; ` +
        'correct the configuration of the node, or of the cluster with weftctl cluster init --replace',
    );
  }

  /** Somebody else may be faster, and then it is theirs that counts. */
  async #write(): Promise<void> {
    const { store, local, log, signal } = this.#options;
    const value = encodeClusterConfig({
      networks: local.networks.map(defaultRange),
      backend: local.backend,
    });
    const created = await store.commit(
      {
        compare: [{ key: configKey, version: absent }],
        write: [{ type: 'put', key: configKey, value, session: undefined }],
      },
      signal,
    );
    if (created) log.info('cluster.configCreated', { store: store.description, config: value });
  }
}
