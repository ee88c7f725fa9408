/** A host with libvirt and Vagrant, in namespaces of its own: what they make is gone with it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Host } from '../../package/ground/host.ts';

/** No control groups, no security labels, no log daemon: qemu's processes end with the namespace. */
const startLibvirt = `
umount -R /sys/fs/cgroup 2>/dev/null || true
grep -q '^libvirt-qemu:' /etc/passwd || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
grep -q '^libvirt-qemu:' /etc/group || echo 'libvirt-qemu:x:64055:' >>/etc/group
mkdir -p /etc/libvirt /var/lib/libvirt/images /var/log/libvirt /run/libvirt
mount --bind "$images" /var/lib/libvirt/images
cat >/etc/libvirt/qemu.conf <<'EOF'
security_driver = "none"
user = "root"
group = "root"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
remember_owner = 0
EOF
printf 'auth_unix_rw = "none"\\nauth_unix_ro = "none"\\n' >/etc/libvirt/libvirtd.conf
setsid libvirtd >/var/log/libvirt/libvirtd.log 2>&1 </dev/null &
left=600
until virsh -c qemu:///system list >/dev/null 2>&1; do
  left=$((left - 1)); [ $left -gt 0 ] || { tail -n 5 /var/log/libvirt/libvirtd.log; exit 1; }
  sleep 0.2
done`;

export class VagrantHost {
  readonly #host: Host;
  readonly #environment: string;
  readonly #project: string;

  private constructor(host: Host, environment: string) {
    this.#host = host;
    this.#environment = environment;
    this.#project = join(host.shared, 'weft');
  }

  /** With a copy of the checkout, of which Git knows every file, and the package instead of building it in a machine. */
  static async start(
    t: TestContext,
    given: { root: string; box: string; package: string; count: number },
  ): Promise<VagrantHost> {
    const host = await Host.of(t);
    const images = join(host.shared, 'images');
    const environment = [
      `VAGRANT_HOME=${host.shared}/home VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_DEFAULT_PROVIDER=libvirt`,
      `WEFT_LIBVIRT_DRIVER=qemu WEFT_BOX=weft-test WEFT_NODES=${given.count} WEFT_PACKAGE=${given.package}`,
    ].join(' ');
    const vagrant = new VagrantHost(host, environment);
    mkdirSync(images);
    mkdirSync(vagrant.#project);
    const copy = 'git -C "$0" ls-files -z | tar -C "$0" --null -T - -cf - | tar -C "$1" -xf -';
    execFileSync('bash', ['-euo', 'pipefail', '-c', copy, given.root, vagrant.#project], { stdio: 'ignore' });
    await host.run(`images=${images}\n${startLibvirt}`);
    await vagrant.run(`box add --name weft-test ${given.box}`);
    return vagrant;
  }

  /** A vagrant command; what it printed. */
  run(command: string): Promise<string> {
    return this.#host.run(`cd ${this.#project} && env ${this.#environment} vagrant ${command}`);
  }

  /** A shell command as root in a machine; what it printed. */
  async on(machine: string, script: string): Promise<string> {
    return (await this.run(`ssh ${machine} -c '${script}' 2>/dev/null`)).trim();
  }
}
