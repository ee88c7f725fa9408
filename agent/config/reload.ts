/** What a changed weft.yaml means to an agent that runs: what it takes up at once, and what needs a restart. */
import { isDeepStrictEqual } from 'node:util';
import type { BackendConfig, Config } from './config.ts';

export interface Reloaded {
  /** What holds from now on: the new configuration, but for what needs a restart. */
  readonly config: Config;
  /** Fields that changed and hold from now on, by their names in weft.yaml. */
  readonly applied: readonly string[];
  /** Fields that changed and do not hold before a restart. */
  readonly restart: readonly string[];
}

/** What everything else stands on: it is read once. */
const fixed = [
  'networks',
  'store',
  'listen',
  'metrics',
  'runDir',
  'stateDir',
] as const satisfies readonly (keyof Config)[];
const free = [
  'underlay',
  'publicIps',
  'masquerade',
  'unleased',
  'probes',
  'log',
] as const satisfies readonly (keyof Config)[];

/** Where weft.yaml has another name for it. */
const names: Readonly<Record<string, string>> = { networks: 'network', publicIps: 'publicIP' };

/** Compares the configuration in force with the one just read. Pure. */
export function reloadConfig(before: Config, after: Config): Reloaded {
  const differs = (key: keyof Config) => !isDeepStrictEqual(before[key], after[key]);
  const nameOf = (key: string) => names[key] ?? key;
  const backend = reloadBackend(before.backend, after.backend);
  const kept = Object.fromEntries(fixed.map((key) => [key, before[key]]));
  return {
    config: { ...after, ...kept, backend: backend.backend },
    applied: [...backend.applied, ...free.filter(differs).map(nameOf)],
    restart: [...backend.restart, ...fixed.filter(differs).map(nameOf)],
  };
}

function reloadBackend(before: BackendConfig, after: BackendConfig) {
  // Without a tunnel its numbers mean nothing; those that it had are needed for as long as it is still there.
  const tunnels = before.type !== 'direct' && after.type !== 'direct';
  const { vni, port } = before.type === 'direct' ? after : before;
  const differ = (keys: readonly (keyof BackendConfig)[]) => keys.filter((key) => before[key] !== after[key]);
  const named = (keys: readonly (keyof BackendConfig)[]) => keys.map((key) => `backend.${key}`);
  return {
    backend: { type: after.type, mtu: after.mtu, vni, port },
    applied: named(differ(['type', 'mtu'])),
    restart: tunnels ? named(differ(['vni', 'port'])) : [],
  };
}
