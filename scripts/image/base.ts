/**
 * What of Debian is in the image: `nft`, the libraries that it and Node.js link, and certificate authorities. Packages
 * are fetched by apt from the sources that this machine has, for either architecture, and kept in the user's cache.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from '../package/run.ts';

const packages = [
  ...['nftables', 'libnftables1', 'libmnl0', 'libnftnl11', 'libxtables12', 'libjansson4', 'libgmp10'],
  ...['libedit2', 'libtinfo6', 'libbsd0', 'libmd0', 'libstdc++6', 'libgcc-s1', 'libc6', 'ca-certificates'],
];

export interface Base {
  /** Where the packages were unpacked, as on a host. */
  readonly folder: string;
  /** `name_version_architecture`, sorted. */
  readonly packages: readonly string[];
}

/** Throws with apt's own words. `debian`: the architecture as dpkg names it. */
export function ensureBase(debian: string): Base {
  const caches = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft');
  const cache = join(caches, `image-base-${release()}-${debian}`);
  if (!existsSync(cache)) fetchBase({ debian, caches, cache });
  const names = readFileSync(join(cache, 'packages'), 'utf8').trim().split('\n');
  return { folder: join(cache, 'root'), packages: names };
}

/** `debian-12` */
function release(): string {
  const text = readFileSync('/etc/os-release', 'utf8');
  const value = (key: string): string =>
    new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? 'unknown';
  return `${value('ID')}-${value('VERSION_ID')}`;
}

function fetchBase({ debian, caches, cache }: { debian: string; caches: string; cache: string }): void {
  mkdirSync(caches, { recursive: true });
  const scratch = mkdtempSync(`${cache}.`);
  try {
    for (const folder of ['state/lists/partial', 'cache/archives/partial', 'debs', 'kept/root']) {
      mkdirSync(join(scratch, folder), { recursive: true });
    }
    // Nothing of it is this machine's: not its lists, not what it has installed.
    writeFileSync(join(scratch, 'status'), '');
    const set = {
      'Dir::State': join(scratch, 'state'),
      'Dir::State::status': join(scratch, 'status'),
      'Dir::Cache': join(scratch, 'cache'),
      'APT::Architecture': debian,
      'APT::Architectures': debian,
      'APT::Sandbox::User': 'root',
    };
    const options = Object.entries(set).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    const debs = join(scratch, 'debs');
    run('apt-get', ['-qq', ...options, 'update']);
    const root = join(scratch, 'kept/root');
    const fetch = (names: readonly string[]): void => {
      run('apt-get', ['-qq', ...options, 'download', ...names], { cwd: debs });
      for (const file of readdirSync(debs)) run('dpkg-deb', ['-x', join(debs, file), root]);
    };
    fetch(packages);
    const elsewhere = licencesElsewhere(root);
    if (elsewhere.length > 0) fetch(elsewhere);
    const files = readdirSync(debs).sort();
    const names = files.map((file) => decodeURIComponent(file.replace(/\.deb$/, '')));
    writeFileSync(join(scratch, 'kept/packages'), `${names.join('\n')}\n`);
    renameSync(join(scratch, 'kept'), cache);
  } catch (error) {
    // Another build may have been quicker.
    if (!existsSync(cache)) throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Packages that hold the licences of others, whose folder in doc/ is a link to theirs. */
const licencesElsewhere = (root: string): string[] => {
  const folder = join(root, 'usr/share/doc');
  const links = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  const targets = links.map(({ name }) => readlinkSync(join(folder, name)));
  return [...new Set(targets)].filter((target) => !existsSync(join(folder, target)));
};
