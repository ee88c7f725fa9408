/**
 * The real flanneld, built with Go from the module's own source. Two backends that nobody asks for here are left out:
 * one needs a C compiler, the other a cloud's SDK.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const flannelModule = 'github.com/flannel-io/flannel';
const flannelVersion = 'v0.28.9';

/** Builds it where that was not done yet (some minutes) and keeps it in the user's cache; returns its path. Throws with Go's own words. */
export function ensureFlanneld(): string {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft');
  const path = join(cache, `flanneld-${flannelVersion}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(`${path}.`);
  try {
    const go = (args: readonly string[], cwd: string) =>
      execFileSync('go', args, {
        cwd,
        encoding: 'utf8',
        env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    const download = go(['mod', 'download', '-json', `${flannelModule}@${flannelVersion}`], scratch);
    const { Dir: source } = JSON.parse(download) as { Dir: string };
    const copy = join(scratch, 'flannel');
    cpSync(source, copy, { recursive: true });
    // Modules are read-only in Go's cache, and so is a copy of one.
    execFileSync('chmod', ['-R', 'u+w', copy]);
    const main = join(copy, 'main.go');
    const lines = readFileSync(main, 'utf8').split('\n');
    writeFileSync(main, lines.filter((line) => !/backend\/(tencentvpc|udp)"$/.test(line)).join('\n'));
    const version = `-X ${flannelModule}/pkg/version.Version=${flannelVersion}`;
    const built = join(scratch, 'flanneld');
    go(['build', '-ldflags', version, '-o', built, '.'], copy);
    renameSync(built, path);
    return path;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
