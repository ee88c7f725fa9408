/** Breaks a lab in many ways, and has `weftctl doctor` name each cause; a lab that is well has none. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../../lab/command.ts';
import { damages, damageVariables, shellOn } from '../../lab/damage.ts';
import { Lab } from '../../lab/lab.ts';
import { fabric, labFolder, netnsPath } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import type { LabPod } from '../../lab/pod.ts';
import { networkOf, runtimeOf } from '../../lab/sandbox.ts';
import { encodeRecord } from '../../plugin/ipam/record.ts';
import { sendBadChecksums } from './bad-checksums.ts';
import { assertNamed, doctorOn, type Named, weftctl, wrongIn } from './diagnosis.ts';
import { eventually, labName, leftovers } from './ground.ts';

const name = labName('diagnose');
const FAILED = 2;

let lab: Lab;
let one: LabNode;
let two: LabNode;
let three: LabNode;
let pod: LabPod;

const sh = (node: LabNode, commands: string): Promise<string> => node.mustExec(['sh', '-ec', commands]);

/** On the switch between the nodes. */
const onFabric = (commands: string) =>
  run(['nsenter', `--net=${netnsPath(name, fabric)}`, 'sh', '-ec', commands]);

async function healthy(node: LabNode): Promise<void> {
  await eventually(async () => assert.deepEqual(wrongIn((await doctorOn(node)).found), []));
}

/** Breaks, has the cause named, mends, and all is well again. */
async function diagnosed(broken: {
  readonly node: LabNode;
  readonly break: () => Promise<unknown>;
  readonly mend: () => Promise<unknown>;
  readonly named: Named;
  readonly args?: readonly string[];
}): Promise<void> {
  const { node, named, args = [] } = broken;
  try {
    await broken.break();
    await eventually(async () => assertNamed((await doctorOn(node, ...args)).found, named));
  } finally {
    await broken.mend();
  }
}

/** Packets of the tunnel from one node to another go no further than the switch. */
const block = (from: LabNode, to: LabNode) =>
  onFabric(`nft add table bridge way; nft "add chain bridge way c { type filter hook forward priority 0; }"
    nft add rule bridge way c ip saddr ${from.addresses[0]} ip daddr ${to.addresses[0]} udp dport 8472 drop`);
const unblock = () => onFabric('nft delete table bridge way');

const variablesOf = (node: LabNode, peer: LabNode): Promise<Record<string, string>> =>
  damageVariables({ lab, node, peer, family: 'ipv4' });

const gatewayOf = ({ addresses: [address = ''] }: LabPod): string => address.replace(/\d+$/, '1');

/** A record of flannel's in the store. */
const recordPath = (key: string): string => join(labFolder(name), 'store/subnets', key);
async function record(key: string, publicIp: string): Promise<void> {
  const BackendData = { VNI: 1, VtepMAC: '02:00:00:00:02:00' };
  writeFileSync(recordPath(key), JSON.stringify({ PublicIP: publicIp, BackendType: 'vxlan', BackendData }));
}
const forget = async (key: string): Promise<void> => rmSync(recordPath(key));

const damageNamed = (what: string): string =>
  Object.entries(damages).find(([each]) => each.replaceAll('\u2019', "'") === what)?.[1].commands ?? 'false';

/** What names each row of the damage matrix while no agent repairs it. */
const damaged: Readonly<Record<string, Named>> = {
  'a route': { check: 'dataplane', cause: /add route 10\.244\.\d+\.0\/24/ },
  'a route that another program leads elsewhere': {
    check: 'dataplane',
    cause: /route 10\.244\.\d+\.0\/24 via/,
  },
  'a neighbour': { check: 'dataplane', cause: /add neighbour 10\.244\.\d+\.0 at/ },
  'a neighbour with a wrong MAC': { check: 'dataplane', cause: /neighbour 10\.244\.\d+\.0 at/ },
  'a forwarding entry': { check: 'dataplane', cause: /add forwarding .* to 192\.168\.188\.102/ },
  'a forwarding entry that leads elsewhere': {
    check: 'dataplane',
    cause: /forwarding .* to 192\.168\.188\./,
  },
  'the device': { check: 'dataplane', cause: /create weft\.1: it is missing/ },
  'the device, set down': { check: 'dataplane', cause: /weft\.1: .*it was down/ },
  "the device's MAC": {
    check: 'mac-addresses',
    cause: /weft\.1 02:00:00:00:00:77/,
    remedy: /^ip link set weft\.1 address/,
  },
  "the device's MTU": { check: 'dataplane', cause: /weft\.1: .*its MTU was 1280/ },
  "the device's addresses": { check: 'dataplane', cause: /weft\.1: .*its address was missing/ },
  "the bridge's address": { check: 'dataplane', cause: /cni0: .*10\.244\.\d+\.1/ },
  'the bridge, set down': { check: 'dataplane', cause: /cni0: .*up/ },
  'the bridge': { check: 'dataplane', cause: /cni0/ },
  forwarding: {
    check: 'forwarding',
    cause: /net\.ipv4\.ip_forward 0: pods are not routed/,
    remedy: /^sysctl -w/,
  },
  "the firewall's rules, flushed": { check: 'dataplane', cause: /inet weft/ },
};

describe('weftctl doctor', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 3, configuration: { probes: { period: '1s', failureThreshold: 2 } } });
    one = lab.node('node-1');
    two = lab.node('node-2');
    three = lab.node('node-3');
    pod = await lab.pod('node-1', 'a');
    await lab.pod('node-2', 'b');
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  it('healthy node: exit status 0, nothing wrong', async () => {
    for (const node of [one, two, three]) await healthy(node);
    assert.equal((await doctorOn(one)).status, 0);
  });

  it('text output: fits 80 columns but for words that are longer, and ends with the counts', async () => {
    const { stdout } = await one.exec([weftctl, 'doctor']);
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 80 || !line.trim().includes(' ')),
      stdout,
    );
    assert.match(stdout, /^\d+ unknown, \d+ ok \(--all shows what is unknown\)$/m);
  });

  describe('weftd running', () => {
    const address = (node: LabNode): string => node.addresses[0] ?? '';
    const rows: Readonly<Record<string, () => Parameters<typeof diagnosed>[0]>> = {
      'UDP port dropped by a rule of this host': () => ({
        node: one,
        break: () =>
          sh(
            one,
            `nft add table inet site; nft "add chain inet site out { type filter hook output priority 0; }"
            nft add rule inet site out udp dport 8472 drop`,
          ),
        mend: () => sh(one, 'nft delete table inet site'),
        named: {
          check: 'firewall',
          cause: /inet site out drops UDP port 8472 to peers/,
          remedy: /^nft delete rule inet site out/,
        },
      }),
      'UDP blocked on the way to a peer: this node': () => ({
        node: one,
        break: () => block(one, two),
        mend: unblock,
        named: {
          check: 'peers',
          cause: /node-2 its packets arrive here, and ours do not reach it/,
          remedy: /open UDP port 8472 to 192/,
        },
      }),
      'UDP blocked on the way to a peer: the peer': () => ({
        node: two,
        break: () => block(one, two),
        mend: unblock,
        named: {
          check: 'peers',
          cause: /node-1 the node is up, and nothing of it arrives/,
          remedy: /open UDP port 8472 from 192/,
        },
      }),
      'MTU lowered in the middle': () => ({
        node: one,
        break: () =>
          onFabric(`nft add table bridge way; nft "add chain bridge way c { type filter hook forward priority 0; }"
            nft add rule bridge way c ip saddr ${address(one)} ip daddr ${address(two)} meta length gt 1400 drop`),
        mend: unblock,
        named: {
          check: 'path-mtu',
          cause: /node-2 packets of at most 1400 bytes pass/,
          remedy: /backend\.mtu: 1350/,
        },
      }),
      'peer without agent': () => ({
        node: one,
        break: () => three.agent.stop('SIGKILL'),
        mend: () => three.agent.start(),
        named: {
          check: 'peers',
          cause: /node-3 the tunnel works, and its weftd does not answer probes/,
          remedy: /systemctl start weftd/,
        },
      }),
      'peer that is powered off': () => ({
        node: one,
        break: async () => {
          await three.agent.stop('SIGKILL');
          await sh(three, 'ip link set eth0 down');
        },
        mend: async () => {
          await sh(three, 'ip link set eth0 up; ip route replace default via 192.168.188.1');
          await three.agent.start();
        },
        named: {
          check: 'peers',
          cause: /node-3 192\.168\.188\.103 does not answer pings either: the node is down/,
        },
      }),
      'another CNI configuration that comes first': () => ({
        node: one,
        break: () => sh(one, 'echo "{}" >/etc/cni/net.d/05-other.conflist'),
        mend: () => sh(one, 'rm /etc/cni/net.d/05-other.conflist'),
        named: {
          check: 'cni-configuration',
          cause: /05-other\.conflist of 2 in/,
          remedy: /^mv \/etc\/cni\/net\.d\/05-other/,
        },
      }),
      'plugin that is not installed': () => ({
        node: one,
        break: () => sh(one, 'mv /opt/cni/bin/weft /opt/cni/bin/weft.away'),
        mend: () => sh(one, 'mv /opt/cni/bin/weft.away /opt/cni/bin/weft'),
        named: { check: 'plugins', cause: /weft not in/, remedy: /weftctl plugins install/ },
      }),
      'record with an overlapping subnet': () => ({
        node: one,
        break: () => record('10.244.0.0-20', '192.168.188.250'),
        mend: () => forget('10.244.0.0-20'),
        named: { check: 'leases', cause: /their subnets overlap in 10\.244/, remedy: /weftctl node forget/ },
      }),
      'record with the public IP of another node': () => ({
        node: one,
        break: () => record('10.244.200.0-24', address(two)),
        mend: () => forget('10.244.200.0-24'),
        named: { check: 'leases', cause: /both have the public IP 192\.168\.188\.102/ },
      }),
      'store that does not answer': () => ({
        node: one,
        break: () =>
          sh(
            one,
            'echo "store: { type: etcd, endpoints: [http://127.0.0.1:2], prefix: /x }" >/etc/weft/away.yaml',
          ),
        mend: () => sh(one, 'rm /etc/weft/away.yaml'),
        args: ['--config', '/etc/weft/away.yaml'],
        named: { check: 'store', cause: /etcd .*cannot be read: .*127\.0\.0\.1:2/ },
      }),
      'store that is read-only': () => ({
        node: one,
        break: () =>
          sh(
            one,
            'mount --bind /var/lib/weft/store /var/lib/weft/store; mount -o remount,bind,ro /var/lib/weft/store',
          ),
        mend: () => sh(one, 'umount /var/lib/weft/store'),
        named: { check: 'store', cause: /read-only file system/i },
      }),
      'stale neighbour entry in a pod': () => ({
        node: one,
        break: async () =>
          pod.exec([
            'ip',
            'neigh',
            'replace',
            await gatewayOf(pod),
            'lladdr',
            '02:00:00:00:00:99',
            'dev',
            'eth0',
          ]),
        mend: async () => pod.exec(['ip', 'neigh', 'del', await gatewayOf(pod), 'dev', 'eth0']),
        named: {
          check: 'neighbours',
          cause: /10\.244\.\d+\.1 in pod .* stale: the neighbour entry has 02:00:00:00:00:99/,
          remedy: /^nsenter .* ip neigh del/,
        },
      }),
      'stale neighbour entry of a peer': () => ({
        node: one,
        break: () => sh(one, `ip neigh replace ${address(two)} lladdr 02:00:00:00:00:99 dev eth0`),
        mend: () => sh(one, `ip neigh del ${address(two)} dev eth0`),
        named: {
          check: 'neighbours',
          cause: /node-2 a permanent neighbour entry/,
          remedy: /^ip neigh del 192\.168\.188\.102 dev eth0$/,
        },
      }),
      'MTU that does not fit into the tunnel': () => ({
        node: one,
        break: () =>
          sh(
            one,
            '{ cat /etc/weft/weft.yaml; } | sed "s/type: vxlan/type: vxlan\\n  mtu: 8950/" >/etc/weft/mtu.yaml',
          ),
        mend: () => sh(one, 'rm /etc/weft/mtu.yaml'),
        args: ['--config', '/etc/weft/mtu.yaml'],
        named: {
          check: 'underlay',
          cause: /backend\.mtu 8950 bytes do not fit/,
          remedy: /remove backend\.mtu/,
        },
      }),
      'pod that routes for others': () => ({
        node: one,
        break: () =>
          pod.exec([
            'sh',
            '-ec',
            'ip link add inner type bridge; ip addr add 172.20.0.1/24 dev inner; ip link set inner up',
          ]),
        mend: () => pod.exec(['ip', 'link', 'del', 'inner']),
        named: { check: 'spoof-check', cause: /172\.20\.0\.1 on inner/, remedy: /"ipspoofchk": false/ },
      }),
      'route that another program takes away repeatedly': () => {
        let ended = false;
        let taking: Promise<unknown> = Promise.resolve();
        return {
          // What is taken away so often is reported for minutes.
          node: two,
          break: async () => {
            const { subnet } = await variablesOf(two, one);
            taking = (async () => {
              while (!ended) await two.exec(['sh', '-c', `ip route del ${subnet} && echo gone`]);
            })();
          },
          mend: async () => {
            ended = true;
            await taking;
          },
          named: {
            check: 'health',
            cause: /entries route 10\.244\.\d+\.0\/24 .*"ip" \(process \d+\) keeps removing it/,
          },
        };
      },
    };
    for (const [what, row] of Object.entries(rows)) {
      it(`${what}: is named`, () => diagnosed(row()));
    }

    it('packets with a wrong checksum: the pod that got them is named, with the ethtool remedy', async () => {
      const b = lab.podNamed('b');
      await sendBadChecksums(pod, b);
      await eventually(async () =>
        assertNamed((await doctorOn(two)).found, {
          check: 'checksums',
          cause: /pod [0-9a-f]{12} \d+ packets arrived with a wrong checksum/,
          remedy: /ethtool -K weft\.1 tx-checksum-ip-generic off/,
        }),
      );
    });

    it('host port of a pod that hides a service of the host: both are named', async () => {
      const listening = 'require("net").createServer().listen(8080, () => console.log("up"))';
      const [program = '', ...args] = three.command([process.execPath, '-e', listening]);
      const service = spawn(program, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: three.environment(),
      });
      await sh(three, 'ip netns add mapped');
      const attachment = { containerId: 'mapped', netns: '/run/netns/mapped', ifname: 'eth0' };
      const mapped = {
        ...attachment,
        capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
      };
      try {
        await new Promise((resolve) => service.stdout.once('data', resolve));
        await runtimeOf(three).add(await networkOf(three), mapped);
        assertNamed((await doctorOn(three)).found, {
          check: 'host-ports',
          cause: /tcp 8080 the pod mapped hides node \(process \d+\)/,
        });
      } finally {
        await runtimeOf(three).del(await networkOf(three), attachment);
        await sh(three, 'ip netns delete mapped');
        const gone = new Promise((resolve) => service.once('close', resolve));
        service.kill();
        await gone;
      }
    });

    it('addresses that nobody has: exhausted, leaked, shown by --fix, and freed by --fix --yes', async () => {
      const folder = three.path('/run/weft/ipam/weft');
      const subnet = (await variablesOf(one, three)).subnet?.replace('.0/24', '') ?? '';
      mkdirSync(folder, { recursive: true });
      const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      for (let host = 2; host <= 254; host++) {
        const since = new Date().toISOString();
        const owner = { containerId: `gone-${host}`, ifname: 'eth0', bootId, since };
        writeFileSync(join(folder, `${subnet}.${host}`), encodeRecord(owner));
      }
      await sh(
        three,
        'ip link add veth01234567890 type veth peer name other; ip link set veth01234567890 alias weft:weft/gone/eth0',
      );
      const { found, status } = await doctorOn(three, '--fix');
      assert.equal(status, FAILED);
      assertNamed(found, { check: 'addresses', cause: /all 253 addresses are taken/, remedy: /--fix --yes/ });
      assertNamed(found, { check: 'leaks', cause: /taken by container gone-2, which is not on record/ });
      assertNamed(found, {
        check: 'leaks',
        cause: /veth01234567890 an interface of a pod that is not on record/,
      });
      assert.equal(readdirSync(folder).length, 253);
      await doctorOn(three, '--fix', '--yes');
      assert.deepEqual(readdirSync(folder), []);
      await healthy(three);
    });

    it('all mended: nothing wrong on any node but counters that are past', async () => {
      for (const node of [one, three]) await healthy(node);
    });
  });

  describe('weftd stopped', () => {
    before(() => one.agent.stop('SIGKILL'));
    after(() => one.agent.start());

    it('agent that was killed: named, with the command that starts it', async () => {
      assertNamed((await doctorOn(one)).found, {
        check: 'agent',
        cause: /weftd does not run/,
        remedy: /systemctl start weftd/,
      });
    });

    const here: Readonly<Record<string, { break: string; mend: string; named: Named }>> = {
      'firewall that drops what it does not know': {
        break:
          'nft add table inet site; nft "add chain inet site f { type filter hook forward priority 0; policy drop; }"',
        mend: 'nft delete table inet site',
        named: { check: 'firewall', cause: /inet site f drops or rejects/, remedy: /systemctl start weftd/ },
      },
      'strict reverse path filter': {
        break: 'sysctl -qw net.ipv4.conf.all.rp_filter=1',
        mend: 'sysctl -qw net.ipv4.conf.all.rp_filter=0',
        named: {
          check: 'rp-filter',
          cause: /weft\.1\.rp_filter 1: packets of pods that come in by weft\.1 are dropped/,
          remedy: /rp_filter=2/,
        },
      },
      'forwarding off on one interface': {
        break: 'sysctl -qw net/ipv4/conf/weft.1/forwarding=0',
        mend: 'sysctl -qw net/ipv4/conf/weft.1/forwarding=1',
        named: {
          check: 'forwarding',
          cause: /weft\.1\.forwarding 0/,
          remedy: /sysctl -w net\/ipv4\/conf\/weft\.1\/forwarding=1/,
        },
      },
      'interface with the name of the VXLAN device': {
        break: 'ip link set weft.1 name kept; ip link add weft.1 type veth peer name other',
        mend: 'ip link del weft.1; ip link set kept name weft.1',
        named: { check: 'names', cause: /weft\.1 the name is taken by a veth link/ },
      },
      'VXLAN device of another program': {
        break: 'ip link set weft.1 name flannel.1',
        mend: 'ip link set flannel.1 name weft.1',
        named: { check: 'names', cause: /flannel\.1 this device has VNI 1 on UDP port 8472/ },
      },
    };
    for (const [what, row] of Object.entries(here)) {
      it(`${what}: is named`, () =>
        diagnosed({
          node: one,
          break: () => sh(one, row.break),
          mend: () => sh(one, row.mend),
          named: row.named,
        }));
    }

    it('interface with the name of the bridge: is named', async () => {
      await three.agent.stop();
      try {
        await diagnosed({
          node: three,
          break: () => sh(three, 'ip link del cni0; ip link add cni0 type veth peer name other'),
          mend: () => sh(three, 'ip link del cni0'),
          named: { check: 'names', cause: /cni0 the name is taken by a veth link/ },
        });
      } finally {
        await three.agent.start();
      }
    });

    for (const [what, cause] of Object.entries(damaged)) {
      it(`a node that loses ${what}: is named`, async () => {
        const commands = damageNamed(what);
        const { status, stderr } = await shellOn(one, commands, await variablesOf(one, two));
        assert.equal(status, 0, stderr);
        try {
          assertNamed((await doctorOn(one)).found, cause);
        } finally {
          // The agent puts back what was lost.
          await one.agent.start();
          await one.agent.stop('SIGKILL');
        }
      });
    }
  });
});
