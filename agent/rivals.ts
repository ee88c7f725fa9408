/** Another CNI's configuration that runtimes take in place of ours: reported in log, health and Events. */
import { join } from 'node:path';
import type { Log } from '../log/log.ts';
import { configurationsBefore, conflistName } from './conflist.ts';
import type { LeaseHolder } from './lease/holder.ts';

export interface ConflistRivalsOptions {
  readonly directory: string;
  readonly holder: Pick<LeaseHolder, 'publish'>;
  readonly log: Pick<Log, 'warn'>;
}

export class ConflistRivals {
  readonly #options: ConflistRivalsOptions;
  #known = '';

  constructor(options: ConflistRivalsOptions) {
    this.#options = options;
  }

  /** Those there are now, in one line each. Logged where they differ from those of the last call. */
  check(): string[] {
    const { directory, holder, log } = this.#options;
    const names = configurationsBefore(directory);
    const remedy = `remove it, or rename it to sort after ${conflistName}`;
    const problems = names.map((name) => {
      const path = join(directory, name);
      return `${path} sorts before ${conflistName}, so runtimes make pods with it and not with weft; ${remedy}`;
    });
    if (names.join() === this.#known) return problems;
    this.#known = names.join();
    for (const reason of problems) {
      log.warn('cni.configurationBefore', { directory, reason });
      holder.publish?.({ reason: 'OtherCNIConfiguration', message: reason });
    }
    return problems;
  }
}
