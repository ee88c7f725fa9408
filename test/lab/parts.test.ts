/** One part of the reconciler that fails does not keep the others from healing, whatever it fails for. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { eventually, labName, leftovers, reconfigure, withLab } from './ground.ts';

const sh = (node: LabNode, command: string): Promise<string> => node.mustExec(['sh', '-ec', command]);

interface Answer {
  readonly ready: boolean;
  readonly text: string;
}

async function health(node: LabNode): Promise<Answer> {
  const script =
    'fetch("http://127.0.0.1:9472/readyz").then(async (r) => console.log(JSON.stringify({ ready: r.ok, text: await r.text() })))';
  return JSON.parse(await node.mustExec(['node', '-e', script]));
}

const problem = (node: LabNode, expected: RegExp) =>
  eventually(async () => assert.match((await health(node)).text, expected));

const noProblems = (node: LabNode) =>
  eventually(async () => assert.match((await health(node)).text, /"reasons":\[\],"warnings":\[\]/));

/** Each is what weft keeps: how it is lost, and a command that fails until it is back. */
const losses = {
  overlay: ['ip link del weft.1', 'ip route show proto 87 | grep -q "dev weft.1"'],
  bridge: ['ip link set cni0 down', 'ip -o link show cni0 | grep -q ",UP"'],
  firewall: ['nft delete table inet weft', 'nft list table inet weft | grep -q masquerade'],
} as const;

type Loss = keyof typeof losses;

/** While the agent is stopped, so that it repairs nothing between two commands. */
async function unobserved(node: LabNode, commands: string): Promise<void> {
  node.agent.signal('SIGSTOP');
  try {
    await sh(node, commands);
  } finally {
    node.agent.signal('SIGCONT');
  }
}

async function heals(node: LabNode, parts: readonly Loss[]): Promise<void> {
  for (const part of parts) await sh(node, losses[part][0]);
  for (const part of parts) {
    await eventually(async () => {
      assert.equal((await node.exec(['sh', '-c', losses[part][1]])).status, 0, `${part} is not back`);
    });
  }
}

const all: readonly Loss[] = ['overlay', 'bridge', 'firewall'];

describe('node of which one part fails', () => {
  const name = labName('parts');
  let lab: Lab;
  let node: LabNode;
  before(async () => {
    lab = await Lab.up({ name, nodes: 2 });
    node = lab.node('node-1');
    await Promise.all(lab.nodes.map((host) => lab.pod(host.name, `on-${host.name}`)));
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  const cuts: [what: string, breaks: string, mends: string, told: RegExp, heal: readonly Loss[]][] = [
    [
      'address of the underlay removed',
      'ip address del 192.168.188.101/24 dev eth0',
      'ip address add 192.168.188.101/24 dev eth0; ip route add default via 192.168.188.1',
      /eth0.*has no IPv4 address|no default route/,
      ['bridge', 'firewall'],
    ],
    [
      'underlay down',
      'ip link set eth0 down',
      'ip link set eth0 up; ip route add default via 192.168.188.1',
      /eth0 is down|no default route/,
      all,
    ],
    [
      'name of the bridge taken by another kind of link',
      'ip link set cni0 down; ip link set cni0 name cni9; ip link add cni0 type ifb',
      'ip link del cni0; ip link set cni9 name cni0; ip link set cni0 up',
      /cni0 is a ifb link, not a bridge: rename or remove it/,
      ['overlay', 'firewall'],
    ],
    [
      'records of pods unreadable',
      'mv /run/weft/attachments /run/weft/kept; touch /run/weft/attachments',
      'rm /run/weft/attachments; mv /run/weft/kept /run/weft/attachments',
      /bridges: .*attachments/,
      ['overlay'],
    ],
    [
      'subnet file cannot be written',
      'rm /run/weft/subnet.env; mkdir /run/weft/subnet.env',
      'rmdir /run/weft/subnet.env',
      /subnet file: failed to write .*subnet\.env/,
      all,
    ],
  ];
  for (const [what, breaks, mends, told, heal] of cuts) {
    it(`${what}: ${heal.join(', ')} healed meanwhile, the cause reported`, async () => {
      await unobserved(node, breaks);
      try {
        await problem(node, told);
        await heals(node, heal);
      } finally {
        await unobserved(node, mends);
      }
      await noProblems(node);
      const results = await lab.ping();
      assert.deepEqual(lost(results), [], formatMatrix(results));
    });
  }

  for (const [what, change] of Object.entries({
    'underlay that does not exist': { underlay: 'eth9' },
    'network that no interface is in': { underlay: '203.0.113.0/24' },
    loopback: { underlay: 'lo' },
    'peer that is not reached': { underlay: { reach: '192.168.188.101' } },
  })) {
    it(`SIGHUP with ${what}: refused, the configuration in use kept, everything healed`, async () => {
      const from = node.agent.log().length;
      reconfigure([node], change);
      await eventually(() => assert.match(node.agent.log().slice(from), /"config.reloadFailed".*underlay/));
      await heals(node, all);
      reconfigure([node], { underlay: 'auto' });
      await eventually(() => assert.match(node.agent.log().slice(from), /"config.reloaded"/));
      await noProblems(node);
    });
  }

  it('SIGHUP with another change while the underlay is away: takes effect', async () => {
    await sh(node, 'ip address del 192.168.188.101/24 dev eth0');
    await problem(node, /192\.168\.188|eth0|default route/);
    reconfigure([node], { masquerade: false });
    await eventually(async () =>
      assert.doesNotMatch(await sh(node, 'nft list table inet weft'), /masquerade fully-random/),
    );
    reconfigure([node], { masquerade: true });
    await sh(node, 'ip address add 192.168.188.101/24 dev eth0; ip route add default via 192.168.188.1');
    await noProblems(node);
  });

  it('backend.mtu that does not fit: what fits is used and reported, pods go on', async () => {
    reconfigure([node], { backend: { type: 'vxlan', mtu: 9000 } });
    await problem(node, /backend\.mtu 9000 is more than eth0 carries, 1450 is used/);
    await heals(node, all);
    assert.deepEqual(lost(await lab.ping()), []);
    reconfigure([node], { backend: { type: 'vxlan' } });
    await noProblems(node);
  });

  it('UDP port in use at the start: not ready, the process and the remedy named, the rest healed; ready once it is free', async () => {
    await node.agent.stop();
    await sh(node, 'ip link del weft.1');
    const released = node.path('/run/released');
    const script = `require('dgram').createSocket('udp4').bind(8472, () => require('fs').writeFileSync('/run/bound', ''));
      setInterval(() => require('fs').existsSync('/run/released') && process.exit(), 20)`;
    const holder = node.exec(['node', '-e', script]);
    await eventually(() => node.mustExec(['test', '-e', '/run/bound']));
    const started = node.agent.start();
    try {
      await eventually(async () => {
        const { ready, text } = await health(node);
        const cause =
          /"reasons":\[{"code":"overlay",[^}]*"overlay IPv4: failed to bind UDP port 8472 for weft\.1: in use by node \(process \d+\); stop or remove/;
        assert.match(text, cause);
        assert.equal(ready, false);
      });
      await heals(node, ['bridge', 'firewall']);
    } finally {
      writeFileSync(released, '');
      await holder;
    }
    await started;
    await noProblems(node);
    await eventually(async () => assert.deepEqual(lost(await lab.ping()), []));
  });
});

describe('underlay of 1280 bytes with both families', () => {
  it('IPv6 does not fit: IPv4 goes on, the MTU that IPv6 needs is reported', async () => {
    await withLab({ name: labName('narrow'), nodes: 2, families: ['ipv4', 'ipv6'] }, async (lab) => {
      const [one] = lab.nodes;
      assert.ok(one);
      await Promise.all(lab.nodes.map((host) => sh(host, 'ip link set eth0 mtu 1280')));
      await Promise.all(
        lab.nodes.map((host) => problem(host, /overlay IPv6: IPv6 needs an MTU of 1280.*1350/)),
      );
      const pods = await Promise.all(lab.nodes.map((host) => lab.pod(host.name, `on-${host.name}`)));
      await heals(one, all);
      const [from, to] = pods;
      assert.ok(from && to);
      const address = to.addresses.find((each) => !each.includes(':')) ?? '';
      await eventually(async () => {
        assert.equal((await from.exec(['ping', '-c', '1', '-W', '1', address])).status, 0);
      });
      assert.equal((await health(one)).ready, true);
    });
  });
});

describe('etcd that is known by its name', () => {
  const name = labName('named');
  let lab: Lab;
  let node: LabNode;
  before(async () => {
    lab = await Lab.up({ name, nodes: 2, store: 'etcd' });
    node = lab.node('node-1');
    const [member] = lab.etcd;
    assert.ok(member);
    writeFileSync(node.path('/etc/weft/hosts'), `127.0.0.1 localhost\n${member.address} ${member.name}\n`);
    writeFileSync(node.path('/etc/weft/resolv.conf'), 'nameserver 203.0.113.53\n');
    await sh(node, 'for f in hosts resolv.conf; do mount --bind /etc/weft/$f /etc/$f; done');
    const yaml = node.path('/etc/weft/weft.yaml');
    const text = await node.mustExec(['cat', '/etc/weft/weft.yaml']);
    writeFileSync(yaml, text.replace(member.address, member.name));
    await restart();
    await Promise.all(lab.nodes.map((host) => lab.pod(host.name, `on-${host.name}`)));
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  async function restart(): Promise<void> {
    await node.agent.stop();
    await node.agent.start();
  }

  /** The name server, too, does not answer any more. */
  const forgetName = () => writeFileSync(node.path('/etc/weft/hosts'), '127.0.0.1 localhost\n');

  it('name server away, etcd reachable: overlay, bridge and firewall are healed', async () => {
    forgetName();
    await heals(node, all);
    assert.deepEqual(lost(await lab.ping()), []);
  });

  it('agent started while the name server is away: ready with its saved lease, pods are made and reach others', async () => {
    await restart();
    await lab.pod('node-1', 'late');
    await heals(node, all);
    assert.deepEqual(lost(await lab.ping()), []);
  });

  it('agent started without an underlay: ready with its saved lease, pods are made, peers come with the underlay', async () => {
    await node.agent.stop();
    await sh(node, 'ip address del 192.168.188.101/24 dev eth0; ip link del weft.1');
    await node.agent.start();
    await problem(node, /underlay.*peers are not reachable/);
    await lab.pod('node-1', 'alone');
    await heals(node, ['bridge', 'firewall']);
    await sh(node, 'ip address add 192.168.188.101/24 dev eth0; ip route add default via 192.168.188.1');
    await eventually(async () => {
      const results = await lab.ping();
      assert.deepEqual(lost(results), [], formatMatrix(results));
    });
  });
});

describe('agent whose stateDir is read-only', () => {
  it('everything is healed', async () => {
    await withLab({ name: labName('readonly'), nodes: 2 }, async (lab) => {
      const [node] = lab.nodes;
      assert.ok(node);
      await Promise.all(lab.nodes.map((host) => lab.pod(host.name, `on-${host.name}`)));
      await sh(node, 'mount --bind /var/lib/weft /var/lib/weft; mount -o remount,bind,ro /var/lib/weft');
      await heals(node, all);
      await sh(node, 'sysctl -qw net.ipv4.ip_forward=0');
      await eventually(async () => assert.match(await sh(node, 'sysctl -n net.ipv4.ip_forward'), /^1$/m));
      await sh(node, 'umount /var/lib/weft');
    });
  });
});
