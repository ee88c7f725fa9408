/**
 * A node's environment: a network namespace with a name on the host, and a mount and a host name namespace, kept by
 * one sleeping process, the *holder*. In the mount namespace every default path of weft belongs to the node, so that
 * no program needs an option for the lab.
 *
 * `/etc` and `/opt` are overlays, because the host has no `/etc/weft` to mount over and must not get one.
 * Mounts come from the host (its unmounts too, or we would hold its devices), never the other way; the node's `/run`
 * is one of them, so that it can be reached from both sides.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from './command.ts';
import { LabError } from './errors.ts';
import { labFolder, netnsPath, nodeFolder, processMark } from './names.ts';
import { identify, isRunning, type ProcessId } from './processes.ts';
import { downCommand, loadHolder, saveHolder } from './state.ts';

/** Folders that are the node's own. What lies below them can be reached on the host as `nodeFolder/...`. */
export const ownFolders = ['/run', '/var/lib', '/etc/cni', '/etc/weft', '/opt/cni'] as const;

/** Hides these subtrees of the host; exceptions are mounted again inside. */
const hiding = ['/run/', '/var/lib/'];

const script = `
set -e
dir=$1 store=$2 name=$3
shift 3
echo "$name" >/proc/sys/kernel/hostname
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
mount -t tmpfs -o mode=755 weft-lab "$dir/overlay"
for tree in etc opt; do
  mkdir "$dir/overlay/$tree" "$dir/overlay/$tree.work"
  mount -t overlay -o "lowerdir=/$tree,upperdir=$dir/overlay/$tree,workdir=$dir/overlay/$tree.work" weft-lab "/$tree"
done
mkdir -p /etc/cni /etc/weft /opt/cni
for folder in etc/cni etc/weft opt/cni; do
  mount --bind "$dir/$folder" "/$folder"
done
for seen; do
  mkdir -p "$dir$seen"
  mount --bind "$seen" "$dir$seen"
done
mount --bind "$store" "$dir/var/lib/weft/store"
mount --rbind "$dir/var/lib" /var/lib
mount --rbind "$dir/run" /run
echo standing
exec -a "weft-lab:$name" sleep infinity >/dev/null 2>&1
`;

/**
 * Makes the node's mount and host name namespaces in its network namespace, which exists, and records who holds them.
 * `seen`: folders of the host that the node must see wherever they are.
 */
export async function raiseGround(request: {
  lab: string;
  node: string;
  seen: readonly string[];
}): Promise<void> {
  const { lab, node } = request;
  const folder = nodeFolder(lab, node);
  const store = join(labFolder(lab), 'store');
  for (const own of [...ownFolders, '/var/lib/weft/store', '/overlay', '/pods']) {
    mkdirSync(join(folder, own), { recursive: true });
  }
  mkdirSync(store, { recursive: true });
  // In memory as on a host that systemd has started: what weft keeps there must not be timed on a disk.
  await mustRun(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'weft-lab', join(folder, 'run')]);
  mkdirSync(join(folder, 'run/netns'));
  const hidden = request.seen.filter((path) => hiding.some((tree) => path.startsWith(tree)));
  const holder = await startHolder(
    [
      ...['nsenter', `--net=${netnsPath(lab, node)}`, '--'],
      ...['unshare', '--mount', '--uts', '--propagation', 'slave', '--'],
      ...['bash', '-c', script, 'weft-lab', folder, store, node, ...hidden],
    ],
    { ...process.env, [processMark]: lab },
  );
  saveHolder(lab, node, holder);
}

function startHolder(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ProcessId> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.stdout.on('end', () => {
      const holder = stdout === 'standing\n' && child.pid ? identify(child.pid) : undefined;
      child.unref();
      if (holder) resolve(holder);
    });
    child.on('close', () => {
      if (stdout !== 'standing\n') reject(new LabError(`the node's namespaces: ${stderr.trim()}`));
    });
  });
}

/**
 * The command line that runs `argv` on the node's ground; in the network namespace of one of its pods if
 * `pod` names one. Throws `LabError` if the node is not standing.
 */
export function onGround(place: Place, argv: readonly string[]): string[] {
  const holder = standingHolder(place);
  const network = place.pod ? `--net=${podNetnsPath({ ...place, pod: place.pod })}` : '--net';
  return ['nsenter', '-t', String(holder.pid), '--mount', '--root', '--wd', '--uts', network, '--', ...argv];
}

/** A pod's namespace is mounted in its node's `/run/netns` alone; the host sees it through the holder. */
export const podNetnsPath = (place: Place & { pod: string }): string =>
  `/proc/${standingHolder(place).pid}/root/run/netns/${place.pod}`;

interface Place {
  readonly lab: string;
  readonly node: string;
  readonly pod?: string;
}

function standingHolder(place: Place): ProcessId {
  const holder = loadHolder(place.lab, place.node);
  if (holder && isRunning(holder)) return holder;
  throw new LabError(
    `${place.node} of the lab ${place.lab} is not standing: run "${downCommand(place.lab)}"`,
  );
}
