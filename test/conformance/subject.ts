/** The executables that the suite can be pointed at. */
import { fileURLToPath } from 'node:url';

export interface Subject {
  readonly name: 'weft' | 'reference';
  /** The plugin's type, and so its executable's name. */
  readonly type: string;
  readonly pluginDirs: readonly string[];
}

export const weft: Subject = {
  name: 'weft',
  type: 'weft',
  pluginDirs: [fileURLToPath(new URL('../../../dist/cni', import.meta.url)), '/usr/lib/cni'],
};

/** Debian's containernetworking-plugins: bridge, with host-local beneath it. */
export const reference: Subject = { name: 'reference', type: 'bridge', pluginDirs: ['/usr/lib/cni'] };
