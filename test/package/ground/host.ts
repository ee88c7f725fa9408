/**
 * A host to install on: this machine's files under overlays of their own, in mount, process and network namespaces
 * that end with the test. Without systemd, unless `systemd` puts a stand-in there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

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
rm -rf /opt/* /etc/weft /etc/cni /var/lib/weft /usr/lib/cni
ip link set lo up
echo ready
exec sleep infinity
`;

export class Host {
  readonly #process: ChildProcess;
  /** Seen by the host under the same path; not an overlay. */
  readonly shared: string;

  private constructor(process: ChildProcess, shared: string) {
    this.#process = process;
    this.shared = shared;
  }

  static async of(t: TestContext): Promise<Host> {
    const shared = mkdtempSync(join(tmpdir(), 'weft-package-'));
    const overlays = join(shared, 'overlays');
    mkdirSync(overlays);
    const namespaces = [
      '--mount',
      '--propagation=private',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
    ];
    const child = spawn('unshare', [...namespaces, 'bash', '-c', setUp, 'host', overlays], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      rmSync(shared, { recursive: true, force: true });
    });
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error('the host to install on could not be made: see above');
      }),
    ]);
    return new Host(child, shared);
  }

  /** A shell script as root; stand-ins of programs come first in PATH. */
  async attempt(script: string): Promise<Outcome> {
    // unshare's only child is the host's first process.
    const enter = `pid=$(pgrep -P ${this.#process.pid}) && exec nsenter --mount --net --pid -t "$pid" -- bash -euo pipefail -c "$0"`;
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
