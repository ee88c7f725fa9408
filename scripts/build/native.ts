import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * koffi's native file for this machine and this node's C library. It is loaded as it is: koffi's JavaScript
 * around it does nothing but look for it, and costs a process 20 ms at its start.
 */
export function nativeKoffi(): Uint8Array {
  const name = `@koromix/koffi-linux-${process.arch}`;
  const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  const abi = isMusl() ? `musl_${process.arch}` : `linux_${process.arch}`;
  return readFileSync(join(folder, abi, 'koffi.node'));
}

/** node names glibc's version in its diagnostic report; under musl there is none to name. */
function isMusl(): boolean {
  const report: unknown = process.report.getReport();
  if (typeof report !== 'object' || report === null || !('header' in report)) return false;
  const { header } = report;
  return !(typeof header === 'object' && header !== null && 'glibcVersionRuntime' in header);
}
