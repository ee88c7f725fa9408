/** The executables that the suite can be pointed at. */
import { fileURLToPath } from 'node:url';
import { startAgent } from './agent.ts';
import type { Ground } from './ground.ts';

export interface Subject {
  readonly name: 'weft' | 'weft, by the agent' | 'loopback' | 'reference' | 'reference loopback';
  /** The plugin's type, and so its executable's name. */
  readonly type: string;
  readonly pluginDirs: readonly string[];
  /** Starts what the executable relies on; it ends with the ground. */
  readonly furnish?: (ground: Ground) => Promise<unknown>;
  /** The oracle: what it does differently is reported, not failed. */
  readonly oracle?: true;
  /** That puts right what is damaged, without being asked. */
  readonly mends?: boolean;
}

/** Nobody listens on the agent's socket, so the standalone plugin does the work. */
export const weft: Subject = {
  name: 'weft',
  type: 'weft',
  pluginDirs: [fileURLToPath(new URL('../../../dist/cni', import.meta.url)), '/usr/lib/cni'],
};

/** The executable relays to an agent, which does the work. */
export const weftByAgent: Subject = { ...weft, name: 'weft, by the agent', furnish: startAgent, mends: true };

/** Debian's containernetworking-plugins: bridge, with host-local beneath it. */
export const reference: Subject = {
  name: 'reference',
  type: 'bridge',
  pluginDirs: ['/usr/lib/cni'],
  oracle: true,
};

/** The static program that brings lo up. */
export const loopback: Subject = { ...weft, name: 'loopback', type: 'loopback' };

export const referenceLoopback: Subject = { ...reference, name: 'reference loopback', type: 'loopback' };
