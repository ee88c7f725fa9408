/**
 * Runs the tests with node's own runner: `node build/scripts/test.js [KIND|FILE]... [--node-test-option]...`.
 * A kind is a folder of `test/`; without one every kind runs whose ground is this machine as it is.
 * A kind whose needs are not met fails with one line that says what is missing: nothing is skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { missing, type Need } from './needs.ts';
import { listTests, selectTests, type TestFile } from './tests.ts';

/** The other architecture that weft is packaged for. */
const other = process.arch === 'x64' ? 'aarch64' : 'x86_64';

const kubernetesNeeds: readonly Need[] = [
  'root',
  'go',
  'ip',
  'nft',
  'tc',
  'ss',
  'ping',
  'mount',
  'nsenter',
  'tar',
  'etcd',
  'etcdctl',
  'openssl',
  'setpriv',
  'busybox',
  'runc',
  'containerd',
  'ctr',
];

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
  cli: ['bash', 'zsh', 'fish', 'mandoc', 'script'],
  etcd: ['etcd', 'etcdctl', 'openssl', 'setpriv'],
  lab: [
    'root',
    'ip',
    'bridge',
    'nft',
    'ping',
    'mount',
    'nsenter',
    'setpriv',
    'etcd',
    'etcdctl',
    'openssl',
    'prometheus',
    'promtool',
  ],
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
  image: [
    'root',
    'ip',
    'nft',
    'mount',
    'nsenter',
    'runc',
    'dockerd',
    'tar',
    'apt-get',
    'dpkg-deb',
    'readelf',
    'strip',
    `qemu-${other}`,
    `${other}-linux-gnu-gcc`,
  ],
  page: ['root', 'ip', 'nft', 'ping', 'mount', 'nsenter', 'setpriv', 'chromium'],
  kubernetes: [...kubernetesNeeds],
  'kubernetes-conformance': [
    ...kubernetesNeeds,
    'bash',
    'curl',
    'nc',
    'dig',
    'nslookup',
    'getent',
    'readelf',
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
  vm: ['root', 'ip', 'nsenter', 'setpriv', 'qemu-system-x86_64', 'qemu-img', 'debootstrap', 'mke2fs', 'ssh'],
};

/** Grounds of their own, with a script of their own: too large for every run. */
const onlyOnRequest: ReadonlySet<string> = new Set([
  'vm',
  'vagrant',
  'package',
  'pods',
  'flannel',
  'firewalls',
  'page',
  'image',
  'kubernetes',
  'kubernetes-conformance',
]);

const root = fileURLToPath(new URL('../../', import.meta.url));

async function main(args: readonly string[]): Promise<number> {
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
  const files = tests.map(fileOf);
  const unbuilt = files.find((file) => !existsSync(file));
  if (unbuilt) return fail(`${unbuilt} is missing: run "npm run build" first`);
  const alone = [...kinds].some((kind) => needs[kind]?.includes('root'));
  if (!alone) return await finished(runNode({ files, options, stdout: 'inherit' }));
  return await runLanes(tests, options);
}

/**
 * Kinds that mostly wait, for agents and daemons: they run beside the others, which mostly work. Within a lane
 * it is one file at a time, because the files of a kind share daemons and names.
 */
const waiting: ReadonlySet<string> = new Set(['lab', 'runtimes']);

/** The second lane's words come when the first one has had its say. */
async function runLanes(tests: readonly TestFile[], options: readonly string[]): Promise<number> {
  const lanes = [false, true]
    .map((waits) => tests.filter((test) => waiting.has(test.kind) === waits))
    .filter((lane) => lane.length > 0);
  const oneByOne = [...options, '--test-concurrency=1'];
  const running = lanes.map((lane, i) =>
    runNode({ files: lane.map(fileOf), options: oneByOne, stdout: i === 0 ? 'inherit' : 'pipe' }),
  );
  const ends = running.map(finished);
  const [, second] = running;
  // Read all along: a lane whose words nobody takes stands still.
  const words = second?.stdout?.pipe(new PassThrough({ highWaterMark: Number.MAX_SAFE_INTEGER }));
  await ends[0];
  words?.pipe(process.stdout);
  return (await Promise.all(ends)).find((status) => status !== 0) ?? 0;
}

const fileOf = (test: TestFile): string => join(root, 'build/test', test.path.replace(/\.ts$/, '.js'));

function runNode(run: {
  files: readonly string[];
  options: readonly string[];
  stdout: 'inherit' | 'pipe';
}): ChildProcess {
  return spawn(
    process.execPath,
    ['--enable-source-maps', '--test', '--test-reporter=spec', ...run.options, ...run.files],
    { cwd: root, stdio: ['ignore', run.stdout, 'inherit'] },
  );
}

async function finished(child: ChildProcess): Promise<number> {
  const [status] = await once(child, 'close');
  return status ?? 1;
}

function fail(message: string): number {
  process.stderr.write(`test: ${message}\n`);
  return 1;
}

process.exitCode = await main(process.argv.slice(2));
