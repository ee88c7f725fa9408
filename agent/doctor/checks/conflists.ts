/** CNI configurations: a runtime takes the first by name and ignores the others. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../../kernel/errno.ts';
import { quoted } from '../../../problem/printable.ts';
import { configurationsBefore, conflistDirectory, conflistName } from '../../conflist.ts';
import { type Check, type Finding, ok } from '../finding.ts';

const ours = join(conflistDirectory, conflistName);

export const conflists: Check = {
  name: 'cni-configuration',
  title: 'CNI configuration',
  look: () => {
    const names = namesIn(conflistDirectory);
    if (!names.includes(conflistName)) {
      const others = names.map((name) => quoted(name)).join(', ');
      return {
        severity: 'warning',
        found: names.length ? `${ours} is missing; there is ${others}` : `${ours} is missing`,
        wanted: 'the file, which weftd writes once pods can be made',
        remedy: 'systemctl start weftd',
      };
    }
    const before = configurationsBefore(conflistDirectory);
    if (before.length === 0) return ok(`${ours} comes first of ${names.length}`);
    return before.map(
      (name): Finding => ({
        severity: 'failed',
        subject: name,
        found: `of ${names.length} in ${conflistDirectory} it comes first: runtimes take it, not ${conflistName}`,
        wanted: `${conflistName} first`,
        remedy: `mv ${join(conflistDirectory, name)} ${join(conflistDirectory, `${name}.disabled`)}`,
      }),
    );
  },
};

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.(conf|conflist|json)$/.test(name))
      .sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
