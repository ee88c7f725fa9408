/** install.sh where it cannot go on: it says what to do, and the node is as it was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './ground/host.ts';
import { Packages } from './ground/package.ts';
import { standInForSystemd } from './ground/systemd.ts';

const packages = new Packages();
const { original, version } = packages;

interface Refusal {
  readonly what: string;
  /** Makes the host so. */
  readonly given: (host: Host) => Promise<unknown>;
  readonly command?: string;
  readonly says: RegExp;
}

const refusals: readonly Refusal[] = [
  {
    what: 'no root',
    given: async () => {},
    command: `setpriv --reuid=65534 --clear-groups ${original}/install.sh`,
    says: /needs root: run it with sudo/,
  },
  {
    what: 'no systemd',
    given: async () => {},
    command: `${original}/install.sh`,
    says: /systemd does not run here: install with --no-service/,
  },
  {
    what: 'an old kernel',
    given: (host) =>
      host.standIn('uname', 'case $1 in -r) echo 4.19.0-27-amd64 ;; *) exec $real "$@" ;; esac'),
    says: /kernel 4\.19\.0-27-amd64 is too old: weft needs 5\.4 or newer/,
  },
  {
    what: 'a missing module',
    given: (host) => host.standIn('unshare', 'case "$*" in *vxlan*) exit 1 ;; *) exec $real "$@" ;; esac'),
    says: /has no vxlan \(modprobe vxlan; .*linux-modules-extra/,
  },
  {
    what: 'a missing program',
    given: (host) => host.run('rm -f /usr/sbin/nft /sbin/nft /usr/bin/nft'),
    says: /program nft is missing: apt-get install nftables/,
  },
  {
    what: 'a clock of another age',
    given: (host) =>
      host.standIn('date', 'case $1 in +%Y) echo 1970 ;; -I) echo 1970-01-01 ;; *) exec $real "$@" ;; esac'),
    says: /the clock says 1970-01-01: .*set-ntp true/,
  },
  {
    what: 'a package for another machine',
    given: (host) => host.standIn('uname', 'case $1 in -m) echo riscv64 ;; *) exec $real "$@" ;; esac'),
    says: /for x86_64, and this machine is riscv64|for aarch64, and this machine is riscv64/,
  },
  {
    what: 'a configuration with a fault',
    given: (host) => host.run(`mkdir /etc/weft && echo 'subnetLen: 24' >/etc/weft/weft.yaml`),
    says: /not valid.*\n.*weft\.yaml:1:1: subnetLen: .*subnetLength/,
  },
  {
    what: 'a configuration that is not there',
    given: async () => {},
    command: `${original}/install.sh --no-service --config /etc/weft/mine.yaml`,
    says: /mine\.yaml cannot be read/,
  },
  {
    what: "flannel's device",
    given: (host) => host.run('ip link add flannel.1 type vxlan id 1 dstport 8472 local 127.0.0.1'),
    says: /flannel runs on this node \(device flannel\.1\).*drain/,
  },
  {
    what: "flannel's process",
    given: (host) =>
      host.run('cp /usr/bin/sleep /usr/local/bin/flanneld && (setsid flanneld 600 >/dev/null 2>&1 &)'),
    says: /flannel runs on this node \(process \d+\)/,
  },
  {
    what: "another VXLAN on weft's port",
    given: (host) => host.run('ip link add other type vxlan id 7 dstport 8472 local 127.0.0.1'),
    says: /UDP port 8472 is taken by device other: /,
  },
  {
    what: "a program on weft's port, which the configuration names",
    given: (host) =>
      host.run(`mkdir /etc/weft && echo 'backend: { port: 4789 }' >/etc/weft/weft.yaml
        (setsid ${process.execPath} -e 'require("dgram").createSocket("udp4").bind(4789)' >/dev/null 2>&1 &)
        until ss -Hulnp 'sport = :4789' | grep -q .; do sleep 0.05; done`),
    says: /UDP port 4789 is taken by users:\(\("node"/,
  },
  {
    what: 'a plugin that somebody else put there',
    given: (host) => host.run('mkdir -p /opt/cni/bin && echo mine >/opt/cni/bin/weft'),
    says: /\/opt\/cni\/bin\/weft is a file that this script did not put there: remove it/,
  },
  {
    what: 'no room',
    given: (host) => host.run('mount -t tmpfs -o size=64M tmpfs /opt'),
    says: /has \d+ MB free and \d+ MB are needed: make room/,
  },
  {
    what: 'an argument that it does not know',
    given: async () => {},
    command: `${original}/install.sh --upgrade`,
    says: /unknown argument: --upgrade/,
  },
  {
    what: 'nothing to go back to',
    given: async () => {},
    command: `${original}/install.sh --rollback`,
    says: /no version before this one/,
  },
  {
    what: 'nothing to take off',
    given: async () => {},
    command: `${original}/install.sh --uninstall`,
    says: /not installed on this node/,
  },
];

const inventory = 'find /opt /etc /usr/local /var/lib/weft /run/weft 2>/dev/null | sort || true';

for (const { what, given, command = `${original}/install.sh --no-service`, says } of refusals) {
  test(`refused: ${what}`, async (t) => {
    const host = await Host.of(t);
    await given(host);
    const before = await host.run(inventory);
    const { status, output } = await host.attempt(command);
    assert.equal(status, 1, output);
    assert.match(output, says);
    assert.equal(await host.run(inventory), before);
  });
}

test('a damaged package is not installed', async (t) => {
  const host = await Host.of(t);
  const folder = host.copy(original, 'damaged');
  await host.run(`echo >>${folder}/bin/weftd`);
  const { status, output } = await host.attempt(`${folder}/install.sh --no-service`);
  assert.equal(status, 1);
  assert.match(output, /damaged: bin\/weftd: FAILED/);
  assert.equal(await host.run('ls /opt'), '');
});

test('an upgrade for which there is no room changes nothing', async (t) => {
  const host = await Host.of(t);
  await host.run('mount -t tmpfs -o size=200M tmpfs /opt');
  await host.run(`${original}/install.sh --no-service`);
  const newer = packages.variant('newer', { VERSION: '99.0.0\n' });
  const { status, output } = await host.attempt(`${newer}/install.sh --no-service`);
  assert.equal(status, 1);
  assert.match(output, /make room; nothing was changed/);
  assert.equal(await host.run('/opt/weft/current/bin/weftd --version'), version);
});

test('a disk that fills up while the upgrade is copied: the node is as it was', async (t) => {
  const host = await Host.of(t);
  await host.run('mount -t tmpfs -o size=200M tmpfs /opt');
  await host.run(`${original}/install.sh --no-service`);
  await host.standIn('df', 'printf "a b c d\\n1 2 3 999999999 5\\n"');
  const before = await host.run('find /opt | sort');
  const newer = packages.variant('newer-2', { VERSION: '99.0.0\n' });
  const { status, output } = await host.attempt(`${newer}/install.sh --no-service`);
  assert.equal(status, 1);
  assert.match(output, /cannot be copied.*the node is as it was/);
  assert.equal(await host.run('find /opt | sort'), before);
});

test('what an interrupted installation left is cleared away, and a damaged version is replaced', async (t) => {
  const host = await Host.of(t);
  await host.run(
    `mkdir -p /opt/weft/.staging.1/bin /opt/weft/${version} && echo half >/opt/weft/${version}/SHA256SUMS`,
  );
  await host.run(`${original}/install.sh --no-service`);
  assert.equal(await host.run('/opt/weft/current/bin/weftd --version'), version);
  assert.equal(await host.run('find /opt/weft -name ".staging*"'), '');
  await host.run('rm /opt/weft/current/bin/weftd');
  await host.run(`${original}/install.sh --no-service`);
  assert.equal(await host.run('/opt/weft/current/bin/weftd --version'), version);
});

test('one installation at a time', async (t) => {
  const host = await Host.of(t);
  const { status, output } = await host.attempt(
    `exec 8</run; flock 8; ${original}/install.sh --no-service 8<&-`,
  );
  assert.equal(status, 1);
  assert.match(output, /another install\.sh is running/);
});

test('another conflist that comes first by name is warned of; beside flannel it is installed by force only', async (t) => {
  const host = await Host.of(t);
  await host.run(
    'mkdir -p /etc/cni/net.d && touch /etc/cni/net.d/05-other.conflist /etc/cni/net.d/99-later.conf',
  );
  await host.run('ip link add flannel.1 type vxlan id 1 dstport 8472 local 127.0.0.1');
  const output = await host.run(`${original}/install.sh --no-service --force 2>&1`);
  assert.match(output, /05-other\.conflist comes before 10-weft\.conflist/);
  assert.doesNotMatch(output, /99-later/);
});

test('pods keep weft from being taken off', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  await host.run(`${original}/install.sh`);
  await host.run('ip link add pod type veth peer name eth0 && ip link set pod alias weft:weft/abc/eth0');
  const { status, output } = await host.attempt('/opt/weft/current/install.sh --uninstall');
  assert.equal(status, 1);
  assert.match(output, /1 pods? .*drain it first/);
  assert.equal(await host.run('/opt/weft/current/bin/weftd --version'), version);
});
