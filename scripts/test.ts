/**
 * Runs the tests with node's own runner: `node build/scripts/test.js [KIND|FILE]... [--node-test-option]...`.
 * A kind is a folder of `test/`; without one every kind runs whose ground is this machine as it is.
 * A kind whose needs are not met fails with one line that says what is missing: nothing is skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing, type Need } from './needs.ts';
import { listTests, selectTests } from './tests.ts';

/** The other architecture that weft is packaged for. */
const other = process.arch === 'x64' ? 'aarch64' : 'x86_64';

/** What a kind of test stands on. A kind that is not named here needs nothing. */
const needs: Readonly<Record<string, readonly Need[]>> = {
  kernel: [
    'root',
    'ip',
    'bridge',
    'nft',
    'ping',
    'nsenter',
    'sysctl',
    'iptables',
    'conntrack',
    'iperf3',
    'tc',
  ],
  relay: ['root', 'cc', 'unshare', 'mount'],
  conformance: [
    'root',
    'ip',
    'bridge',
    'nft',
    'tc',
    'iptables',
    'ping',
    'mount',
    'unshare',
    'nsenter',
    'portmap',
  ],
  fuzz: ['root', 'ip', 'nft', 'mount', 'unshare', 'nsenter'],
  storm: ['root', 'ip', 'nft', 'mount', 'unshare', 'nsenter'],
  runtimes: [
    'root',
    'ip',
    'nft',
    'ping',
    'nsenter',
    'tar',
    'busybox',
    'runc',
    'containerd',
    'ctr',
    'podman',
    'dockerd',
  ],
  pods: ['root', 'ip', 'nft', 'ping', 'nsenter', 'tar', 'busybox', 'runc', 'containerd', 'dockerd'],
  etcd: ['etcd', 'etcdctl', 'openssl', 'setpriv'],
  lab: ['root', 'ip', 'bridge', 'nft', 'ping', 'mount', 'nsenter', 'setpriv', 'etcd', 'etcdctl', 'openssl'],
  flannel: ['root', 'go', 'ip', 'nft', 'ping', 'mount', 'nsenter', 'setpriv', 'etcd', 'etcdctl', 'openssl'],
  package: [
    'root',
    'ip',
    'nft',
    'ss',
    'unshare',
    'pgrep',
    'systemd-analyze',
    'shellcheck',
    'vagrant',
    'dpkg-deb',
    `qemu-${other}`,
    `${other}-linux-gnu-gcc`,
  ],
  vagrant: [
    'root',
    'ip',
    'vagrant',
    'libvirtd',
    'virsh',
    'dnsmasq',
    'qemu-system-x86_64',
    'qemu-img',
    'debootstrap',
    'git',
  ],
  firewalls: [
    'root',
    'ip',
    'nft',
    'iptables',
    'ping',
    'mount',
    'nsenter',
    'unshare',
    'dbus-daemon',
    'firewalld',
    'ufw',
  ],
  vm: ['root', 'ip', 'nsenter', 'qemu-system-x86_64', 'qemu-img', 'debootstrap', 'mke2fs', 'ssh'],
};

/** Grounds of their own, with a script of their own: too large for every run. */
const onlyOnRequest: ReadonlySet<string> = new Set([
  'vm',
  'vagrant',
  'package',
  'pods',
  'kubernetes',
  'flannel',
  'firewalls',
]);

const root = fileURLToPath(new URL('../../', import.meta.url));

function main(args: readonly string[]): number {
  const options = args.filter((arg) => arg.startsWith('-'));
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const all = listTests(join(root, 'test'));
  const { tests, unknown } = selectTests({ all, wanted, onlyOnRequest });
  if (unknown.length > 0) {
    const kinds = [...new Set(all.map((test) => test.kind))].join(', ');
    return fail(`no tests for ${unknown.join(', ')}: name a kind (${kinds}) or a file under test/`);
  }
  const kinds = new Set(tests.map((test) => test.kind));
  for (const kind of kinds) {
    const lacking = missing(needs[kind] ?? []);
    if (lacking) return fail(`the ${kind} tests need ${lacking}`);
  }
  const files = tests.map((test) => join(root, 'build/test', test.path.replace(/\.ts$/, '.js')));
  const unbuilt = files.find((file) => !existsSync(file));
  if (unbuilt) return fail(`${unbuilt} is missing: run "npm run build" first`);
  return runNode({ files, options, alone: [...kinds].some((kind) => needs[kind]?.includes('root')) });
}

/** `alone`: one file at a time, because the files share the kernel. */
function runNode(run: { files: string[]; options: string[]; alone: boolean }): number {
  const concurrency = run.alone ? ['--test-concurrency=1'] : [];
  const child = spawnSync(
    process.execPath,
    ['--enable-source-maps', '--test', '--test-reporter=spec', ...concurrency, ...run.options, ...run.files],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (child.error) throw child.error;
  return child.status ?? 1;
}

function fail(message: string): number {
  process.stderr.write(`test: ${message}\n`);
  return 1;
}

process.exitCode = main(process.argv.slice(2));
