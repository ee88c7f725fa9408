/** What a package has for people at a shell: manual pages and completion scripts. */
import { completions, manualPages } from '../manual/pages.ts';
import type { PackagedFile } from './layout.ts';

export async function documentFiles(version: string): Promise<PackagedFile[]> {
  const text = (path: string, content: string): PackagedFile => ({
    path,
    mode: 0o644,
    content: Buffer.from(content),
  });
  return [
    ...Object.entries(manualPages(version)).map(([name, page]) => text(`man/${name}`, page)),
    ...Object.entries(await completions()).map(([shell, script]) =>
      text(`completion/weftctl.${shell}`, script),
    ),
  ];
}
