/**
 * A host to install on: this machine's files under overlays of their own, in mount, process and network namespaces
 * that end with the test. Its first process does nothing, or is a systemd that starts nothing but what is installed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { makeCgroup, removeCgroup } from './cgroup.ts';

export interface Outcome {
  readonly status: number | null;
  /** Both streams. */
  readonly output: string;
}

const setUp = `
set -e
mount -t tmpfs tmpfs "$1"
for folder in etc usr opt var root; do
  mkdir -p "$1/$folder/upper" "$1/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$1/$folder/upper,workdir=$1/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /run
mkdir /run/lock /run/netns
rm -f /usr/sbin/policy-rc.d
rm -rf /opt/* /etc/weft /etc/cni /var/lib/weft /usr/lib/cni
ip link set lo up
`;

const idle = `
echo ready
exec sleep infinity
`;

/** Units of the machine's own are not started; the mounts of a host are shared, as systemd has it outside of containers. */
const systemd = `
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system/* /usr/lib/systemd/system/*.wants /var/log/journal
mkdir -p /etc/systemd/system/sysinit.target.wants
ln -s /usr/lib/systemd/system/systemd-journald.service /etc/systemd/system/sysinit.target.wants/
ln -s /usr/lib/systemd/system/multi-user.target /etc/systemd/system/default.target
ln -s /dev/null /etc/systemd/system/systemd-remount-fs.service
: >/etc/fstab
mkdir -p /run/outside /opt/shared
mount --rbind /tmp /run/outside
mount -t tmpfs tmpfs /tmp
for folder in /run/outside/weft-package*; do
  mkdir "/tmp/\${folder##*/}"
  mount --bind "$folder" "/tmp/\${folder##*/}"
done
umount -l /run/outside
hostname "$2"
echo "$2" >/etc/hostname
mount --make-rshared /
echo ready
exec env -i container=weft-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
`;

const namespaces = ['--mount', '--net', '--pid'];
const systemdNamespaces = [...namespaces, '--uts', '--ipc', '--cgroup'];

export class Host {
  readonly #process: ChildProcess;
  readonly #namespaces: readonly string[];
  /** Seen by the host under the same path; not an overlay. */
  readonly shared: string;

  private constructor(host: { process: ChildProcess; namespaces: readonly string[]; shared: string }) {
    this.#process = host.process;
    this.#namespaces = host.namespaces;
    this.shared = host.shared;
  }

  /** Nothing runs on it. */
  static of(t: TestContext): Promise<Host> {
    return Host.#make(t, { namespaces, script: setUp + idle, name: 'host' });
  }

  /** Systemd runs on it, of the machine's version, with a journal. */
  static async withSystemd(t: TestContext, name = 'host'): Promise<Host> {
    const cgroup = makeCgroup();
    const host = await Host.#make(t, {
      namespaces: systemdNamespaces,
      before: `echo $$ >${cgroup}/cgroup.procs`,
      afterwards: () => removeCgroup(cgroup),
      script: setUp + systemd,
      name,
    });
    await host.run(`until [ -S /run/systemd/private ]; do sleep 0.1; done
      systemctl is-system-running --wait`);
    return host;
  }

  static async #make(
    t: TestContext,
    how: {
      namespaces: readonly string[];
      before?: string;
      script: string;
      name: string;
      afterwards?: () => Promise<void>;
    },
  ): Promise<Host> {
    const shared = mkdtempSync(join(tmpdir(), 'weft-package-'));
    const overlays = join(shared, 'overlays');
    mkdirSync(overlays);
    const isolated = ['--propagation=private', '--fork', '--kill-child', '--mount-proc', ...how.namespaces];
    // bash gives way to unshare, so that the process that is known here is the first one's parent.
    const start = [`${how.before ?? ':'}; exec unshare "$@"`, 'host'];
    const child = spawn(
      'bash',
      ['-c', ...start, ...isolated, 'bash', '-c', how.script, 'host', overlays, how.name],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.after(async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      await how.afterwards?.();
      rmSync(shared, { recursive: true, force: true });
    });
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error('the host to install on could not be made: see above');
      }),
    ]);
    return new Host({ process: child, namespaces: how.namespaces, shared });
  }

  /** A cable to another host: `eth0` on both. */
  async plugInto(other: Host): Promise<void> {
    const [here, there] = [await this.#firstProcess(), await other.#firstProcess()];
    await promisify(execFile)('nsenter', [
      ...[`--net=/proc/${here}/ns/net`, 'ip', 'link', 'add', 'eth0', 'type', 'veth'],
      ...['peer', 'name', 'eth0', 'netns', there],
    ]);
  }

  /** unshare's only child, by its number outside. */
  async #firstProcess(): Promise<string> {
    const { stdout } = await promisify(execFile)('pgrep', ['-P', String(this.#process.pid)]);
    return stdout.trim();
  }

  /** The start of a command line that runs the rest of it there. */
  async prefix(): Promise<string> {
    return `nsenter ${this.#namespaces.join(' ')} -t ${await this.#firstProcess()} --`;
  }

  /** A shell script as root; stand-ins of programs come first in PATH. */
  async attempt(script: string): Promise<Outcome> {
    const enter = `exec ${await this.prefix()} bash -euo pipefail -c "$0"`;
    const child = spawn('bash', ['-c', enter, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: '/run/stand-ins:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        LANG: 'C.UTF-8',
      },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const [status] = await once(child, 'close');
    return { status, output };
  }

  async run(script: string): Promise<string> {
    const { status, output } = await this.attempt(script);
    if (status !== 0) throw new Error(`${script}: status ${status}\n${output}`);
    return output.trim();
  }

  /** A program that is found before the system's; the real one is at "$real". */
  standIn(name: string, body: string): Promise<string> {
    const path = join(this.shared, name);
    writeFileSync(path, `#!/bin/bash\nreal=/usr/bin/${name}\n${body}\n`, { mode: 0o755 });
    return this.run(`mkdir -p /run/stand-ins && install ${path} /run/stand-ins/${name}`);
  }

  /** Copies a folder to where the host sees it, under another name. */
  copy(folder: string, name: string): string {
    const target = join(this.shared, name);
    cpSync(folder, target, { recursive: true });
    return target;
  }
}
