/**
 * The disk that every virtual machine starts from: Debian, made by debootstrap, with what provisioning would install
 * already there. Kept in the user's cache under a key of its content.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';

export interface Image {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The private key of root's. */
  readonly key: string;
}

const suite = 'trixie';
const diskSize = '4G';
const packages = [
  ...[
    'linux-image-cloud-amd64',
    'initramfs-tools',
    'systemd-sysv',
    'udev',
    'dbus',
    'kmod',
    'xz-utils',
    'cpio',
  ],
  ...['ifupdown', 'isc-dhcp-client', 'openssh-server', 'sudo', 'ca-certificates', 'procps'],
  // What scripts/provision/node installs elsewhere.
  ...[
    'containerd',
    'docker.io',
    'docker-cli',
    'etcd-server',
    'etcd-client',
    'nftables',
    'iproute2',
    'iputils-ping',
    'openssl',
    'curl',
  ],
  // What images of containers are made of.
  'busybox-static',
];

/** `root`: the checkout. The first time it takes some minutes and needs Debian's archive, where debootstrap knows it. */
export async function ensureImage(root: string, signal: AbortSignal): Promise<Image> {
  const setup = join(root, 'test/vm/ground/image-setup.sh');
  const content = [suite, diskSize, ...packages, readFileSync(setup, 'utf8')].join('\n');
  const key = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const caches = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft');
  const folder = join(caches, `vm-${suite}-${key}`);
  if (!existsSync(folder)) {
    mkdirSync(caches, { recursive: true });
    const made = mkdtempSync(`${folder}.`);
    try {
      await makeImage({ folder: made, setup, signal });
      renameSync(made, folder);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }
  const at = (name: string): string => join(folder, name);
  return { disk: at('disk'), kernel: at('kernel'), initrd: at('initrd'), key: at('key') };
}

async function makeImage(request: { folder: string; setup: string; signal: AbortSignal }): Promise<void> {
  const { folder, setup, signal } = request;
  const tree = join(folder, 'tree');
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'weft test', '-f', join(folder, 'key')], {
    signal,
  });
  const include = `--include=${packages.join(',')}`;
  // In mount and process namespaces of its own: nothing that is mounted or started for it outlives it.
  const apart = ['unshare', '--mount', '--propagation=private', '--pid', '--fork', '--kill-child'];
  await run([...apart, 'nice', 'debootstrap', '--variant=minbase', include, suite, tree], { signal });
  copyFileSync(join(folder, 'key.pub'), join(tree, 'tmp/key.pub'));
  copyFileSync(setup, join(tree, 'tmp/image-setup.sh'));
  const script =
    'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && chroot "$0" bash /tmp/image-setup.sh';
  await run([...apart, 'bash', '-c', script, tree], { signal });
  rmSync(join(tree, 'tmp/image-setup.sh'));
  const boot = readdirSync(join(tree, 'boot'));
  for (const [name, prefix] of [
    ['kernel', 'vmlinuz-'],
    ['initrd', 'initrd.img-'],
  ] as const) {
    const file = boot.find((each) => each.startsWith(prefix));
    if (!file) throw new Error(`Debian's kernel package has put no ${prefix}* into /boot`);
    copyFileSync(join(tree, 'boot', file), join(folder, name));
  }
  await run(['mke2fs', '-q', '-t', 'ext4', '-d', tree, join(folder, 'disk'), diskSize], { signal });
  rmSync(tree, { recursive: true });
}
