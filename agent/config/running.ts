/** The configuration in force: what was read last, as far as it needs no restart. */
import type { LevelledLog } from '../../log/log.ts';
import type { Config } from './config.ts';
import { reloadConfig } from './reload.ts';

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

  /** Reads it again. Answers whether it could: what cannot be read changes nothing. */
  reload(): boolean {
    let read: Config;
    try {
      read = this.#load();
    } catch (error) {
      this.#log.error('config.reloadFailed', { err: error });
      return false;
    }
    const { config, applied, restart } = reloadConfig(this.#current, read);
    this.#current = config;
    this.#log.setLevel(config.log.level);
    this.#log.info('config.reloaded', { applied });
    if (restart.length) this.#log.warn('config.restartRequired', { fields: restart });
    return true;
  }
}
