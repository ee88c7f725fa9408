/** What a script needs of the machine, and the one line that says what is missing. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** `root`, or the name of a program. */
export type Need = string;

/** Debian's package of each program that is not everywhere. */
const packages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  nft: 'nftables',
  ping: 'iputils-ping',
  mount: 'mount',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  sysctl: 'procps',
  tc: 'iproute2',
  etcd: 'etcd-server',
  script: 'bsdutils',
  ss: 'iproute2',
  pgrep: 'procps',
  'systemd-analyze': 'systemd',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  readelf: 'binutils',
  dig: 'bind9-dnsutils',
  nslookup: 'bind9-dnsutils',
  nc: 'netcat-openbsd',
  getent: 'libc-bin',
  strip: 'binutils',
  'aarch64-linux-gnu-strip': 'binutils-aarch64-linux-gnu',
  'x86_64-linux-gnu-strip': 'binutils-x86-64-linux-gnu',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  vagrant: 'vagrant vagrant-libvirt',
  libvirtd: 'libvirt-daemon',
  virsh: 'libvirt-clients',
  dnsmasq: 'dnsmasq-base',
  'qemu-aarch64': 'qemu-user',
  'qemu-x86_64': 'qemu-user',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross',
  'x86_64-linux-gnu-gcc': 'gcc-x86-64-linux-gnu libc6-dev-amd64-cross libstdc++6-amd64-cross',
  mke2fs: 'e2fsprogs',
  ssh: 'openssh-client',
  ctr: 'containerd',
  go: 'golang-go',
  dockerd: 'docker.io',
  docker: 'docker.io',
  busybox: 'busybox-static',
  cc: 'gcc libc6-dev',
  etcdctl: 'etcd-client',
  setpriv: 'util-linux',
  portmap: 'containernetworking-plugins',
  'dbus-daemon': 'dbus',
};

/** The first need that is not met, with its remedy; undefined if all are. */
export function missing(needs: readonly Need[]): string | undefined {
  for (const need of needs) {
    if (need === 'root') {
      if (process.geteuid?.() !== 0) return 'root: run them with sudo';
    } else if (!findProgram(need)) {
      return `the program ${need}: apt-get install ${packages[need] ?? need}`;
    }
  }
  return undefined;
}

/** The path of a program, looked for in PATH, where root's programs are, and where Debian has CNI plugins. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/lib/cni'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
