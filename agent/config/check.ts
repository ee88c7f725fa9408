/** `weftd --check-config`: what the configuration means, or all that is wrong with it. */
import { formatConfig } from './effective.ts';
import { ConfigError } from './error.ts';
import { type ConfigSource, loadConfig } from './load.ts';

export interface Checked {
  readonly status: 0 | 1;
  readonly stdout: string;
  readonly stderr: string;
}

export function checkConfig(source: ConfigSource): Checked {
  try {
    const { config, path } = loadConfig(source);
    const from = path ?? `defaults: ${source.path} not found`;
    return { status: 0, stdout: `# ${from}\n${formatConfig(config)}`, stderr: '' };
  } catch (error) {
    if (error instanceof ConfigError) return { status: 1, stdout: '', stderr: `${error.message}\n` };
    throw error;
  }
}
