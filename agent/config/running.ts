/** The configuration in force: what was read last, as far as it needs no restart. */
import type { LevelledLog } from '../../log/log.ts';
import type { Config } from './config.ts';
import { type Reloaded, reloadConfig } from './reload.ts';

export class RunningConfig {
  readonly #load: () => Config;
  readonly #log: LevelledLog;
  #current: Config;

  /** `load` reads the configuration again; throws ConfigError. */
  constructor(options: { readonly config: Config; readonly load: () => Config; readonly log: LevelledLog }) {
    this.#current = options.config;
    this.#load = options.load;
    this.#log = options.log;
  }

  get current(): Config {
    return this.#current;
  }

  /**
   * Reads it again. Returns whether it took effect. A configuration changes nothing if it cannot be read, or if
   * `accept` throws because it cannot work on this host.
   */
  async reload(accept: (config: Config) => Promise<void>): Promise<boolean> {
    let reloaded: Reloaded;
    try {
      reloaded = reloadConfig(this.#current, this.#load());
      await accept(reloaded.config);
    } catch (error) {
      this.#log.error('config.reloadFailed', { err: error });
      return false;
    }
    const { config, applied, restart } = reloaded;
    this.#current = config;
    this.#log.setLevel(config.log.level);
    this.#log.info('config.reloaded', { applied });
    if (restart.length) this.#log.warn('config.restartRequired', { fields: restart });
    return true;
  }
}
