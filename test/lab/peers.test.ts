/** Peers as they are met: rebuilt ones, flannel's, ones that tell nonsense, and one that comes and goes like a storm. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Lab } from '../../lab/lab.ts';
import { labFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { lost } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { eventually, labName, leftovers, reconfigure, SteadyPing, withLab } from './ground.ts';

const name = labName('peers');
let lab: Lab;
let node: LabNode;

before(async () => {
  lab = await Lab.up({ name, families: ['ipv4', 'ipv6'], withoutAgents: ['node-3'] });
  node = lab.node('node-1');
  await Promise.all(['node-1', 'node-2'].map((host) => lab.pod(host, `on-${host}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const fileOf = (key: string): string => join(labFolder(name), 'store/subnets', key);
/** As any other program writes a lease; its disappearance is not waited for. */
const announce = (key: string, value: object): void => writeFileSync(fileOf(key), JSON.stringify(value));
const withdraw = (key: string): void => rmSync(fileOf(key), { force: true });

const sh = (on: LabNode, command: string): Promise<string> => on.mustExec(['sh', '-c', command]);

/** The warnings and reasons of the agent's own word. */
const health = (on: LabNode): Promise<string> =>
  sh(
    on,
    `${process.execPath} -e 'fetch("http://127.0.0.1:9472/readyz").then(async (a) => console.log(await a.text()))'`,
  );

const entries = (on: LabNode): Promise<string> =>
  sh(
    on,
    'for f in -4 -6; do ip $f route show proto 87; ip $f neigh show nud permanent; done; for d in weft.1 weft-v6.1; do bridge fdb show dev $d; done',
  );

async function lossless(from: LabPod, to: LabPod, happen: () => Promise<void>): Promise<void> {
  const pings = to.addresses.map((address) => new SteadyPing(from, to, address));
  try {
    await happen();
  } finally {
    for (const ping of await Promise.all(pings.map((each) => each.end()))) assert.deepEqual(ping.lost, []);
  }
}

describe('a peer', () => {
  it('that has another VTEP MAC is reached by that one, and the old one is forgotten', async () => {
    const peer = lab.node('node-2');
    const file = peer.path('/var/lib/weft/node.json');
    const identity = JSON.parse(readFileSync(file, 'utf8')) as { vtepMacs: Record<'ipv4' | 'ipv6', string> };
    const old = identity.vtepMacs;
    const vtepMacs = { ipv4: '02:77:00:00:00:04', ipv6: '02:77:00:00:00:06' };
    await peer.agent.stop();
    writeFileSync(file, JSON.stringify({ ...identity, vtepMacs }));
    await peer.agent.start();
    await eventually(async () => assert.deepEqual(lost(await lab.ping()), []));
    const now = await entries(node);
    for (const mac of Object.values(vtepMacs)) assert.ok(now.includes(mac), now);
    for (const mac of Object.values(old)) assert.ok(!now.includes(mac), now);
  });
});

/** What flannel has on a node, made as flannel makes it; the node's own address stands for its pods. */
const flannel = {
  key: '10.244.93.0-24',
  mac: '0e:11:22:33:44:55',
  pod: '10.244.93.1',
  /** Run on node-3, for each of its peers: the subnet, its `.0`, the MAC, the endpoint. */
  vxlan: (peers: { subnet: string; end: string; mac: string; endpoint: string }[]) =>
    [
      'sysctl -qw net.ipv4.ip_forward=1',
      `ip link add flannel.1 address ${flannel.mac} type vxlan id 1 local $own dev eth0 dstport 8472 nolearning`,
      'ip link set flannel.1 mtu 1450 up',
      'ip address add 10.244.93.0/32 dev flannel.1',
      'ip link add cni0 up type bridge',
      `ip address add ${flannel.pod}/24 dev cni0`,
      ...peers.flatMap(({ subnet, end, mac, endpoint }) => [
        `ip neigh replace ${end} lladdr ${mac} dev flannel.1 nud permanent`,
        `bridge fdb replace ${mac} dev flannel.1 dst ${endpoint} self permanent`,
        `ip route replace ${subnet} via ${end} dev flannel.1 onlink`,
      ]),
    ].join('\n'),
};

interface Announced {
  readonly PublicIP: string;
  readonly BackendData: { readonly VtepMAC: string };
}

/** What the nodes with agents announce, as flannel would read it. */
async function announced(): Promise<{ subnet: string; end: string; mac: string; endpoint: string }[]> {
  const keys = await sh(node, 'ls /var/lib/weft/store/subnets');
  return keys
    .split('\n')
    .filter((key) => key.startsWith('10.244.') && !key.startsWith('10.244.93.'))
    .map((key) => {
      const { PublicIP, BackendData } = JSON.parse(readFileSync(fileOf(key), 'utf8')) as Announced;
      const end = key.split('-')[0] ?? '';
      return { subnet: `${end}/24`, end, mac: BackendData.VtepMAC, endpoint: PublicIP };
    });
}

const pings = async (from: Pick<LabPod, 'exec'>, address: string): Promise<void> => {
  const { status, stdout } = await from.exec(['ping', '-n', '-c', '1', '-W', '1', address]);
  assert.equal(status, 0, stdout);
};

describe('a node of flannel’s', () => {
  const theirs = () => lab.node('node-3');

  it('in vxlan is reached, and reaches our pods', async () => {
    const own = theirs().addresses[0] ?? '';
    const script = flannel.vxlan(await announced());
    await theirs().mustExec(['sh', '-ec', script], { env: { ...process.env, own } });
    announce(flannel.key, {
      PublicIP: own,
      PublicIPv6: null,
      BackendType: 'vxlan',
      BackendData: { VNI: 1, VtepMAC: flannel.mac },
    });
    const pod = lab.podNamed('on-node-1');
    await eventually(() => pings(pod, flannel.pod));
    await pings(theirs(), pod.addresses[0] ?? '');
    // Nobody asks it whether it answers: it knows no probes.
    assert.doesNotMatch(await health(node), /no answer.*10\.244\.93|no answer.*node-3/);
  });

  it('in host-gw is reached straight, though our own backend is vxlan', async () => {
    const own = theirs().addresses[0] ?? '';
    const routes = (await announced()).map(
      ({ subnet, endpoint }) => `ip route replace ${subnet} via ${endpoint}`,
    );
    await theirs().mustExec(['sh', '-ec', [...routes, 'ip link del flannel.1'].join('\n')]);
    announce(flannel.key, { PublicIP: own, BackendType: 'host-gw' });
    await eventually(async () =>
      assert.match(await entries(node), new RegExp(`10.244.93.0/24 via ${own} dev eth0`)),
    );
    await eventually(() => pings(lab.podNamed('on-node-1'), flannel.pod));
    await pings(theirs(), lab.podNamed('on-node-2').addresses[0] ?? '');
    assert.doesNotMatch(await entries(node), new RegExp(flannel.mac));
  });

  it('in host-gw is reached by agents in backend direct', async () => {
    const ours = ['node-1', 'node-2'].map((each) => lab.node(each));
    reconfigure(ours, { backend: { type: 'direct' } });
    for (const each of ours) {
      await eventually(async () => assert.doesNotMatch(await sh(each, 'ip -o link'), /weft\.1/));
    }
    await pings(lab.podNamed('on-node-1'), flannel.pod);
    await pings(theirs(), lab.podNamed('on-node-1').addresses[0] ?? '');
    reconfigure(ours, { backend: { type: 'vxlan' } });
    for (const each of ours) {
      await eventually(async () =>
        assert.match(await entries(each), /dev weft\.1 proto 87|dev weft\.1.*onlink/),
      );
    }
  });

  it('is forgotten when its lease is gone', async () => {
    withdraw(flannel.key);
    await eventually(async () => assert.doesNotMatch(await entries(node), /10\.244\.93\./));
  });
});

describe('a lease that makes no sense', () => {
  const vxlan = (PublicIP: string, mac = '0e:00:00:00:00:01') => ({
    PublicIP,
    BackendType: 'vxlan',
    BackendData: { VNI: 1, VtepMAC: mac },
  });
  const ownHalf = () => sh(node, 'sed -n "s/^FLANNEL_SUBNET=\\(.*\\)\\.1\\/24/\\1/p" /run/weft/subnet.env');

  const cases: Record<string, { key: () => Promise<string>; value: object; said: RegExp }> = {
    'for a part of our own subnet': {
      key: async () => `${(await ownHalf()).trim()}.128-25`,
      value: vxlan('192.168.188.150'),
      said: /overlaps our own 10\.244\.\d+\.0\/24 and is left out/,
    },
    'for a subnet that overlaps another’s': {
      key: async () => `${(await announced()).at(-1)?.end.replace(/\.0$/, '')}.64-26`,
      value: vxlan('192.168.188.151'),
      said: /overlaps 10\.244\.\d+\.0.*left out|overlaps our own|is a \/26.*left out/,
    },
    'at a loopback address': {
      key: async () => '10.244.94.0-24',
      value: vxlan('127.0.0.1'),
      said: /127\.0\.0\.1 is a loopback address/,
    },
    'at a link-local address': {
      key: async () => '10.244.94.0-24',
      value: vxlan('169.254.7.7'),
      said: /169\.254\.7\.7 is a link-local address/,
    },
    'at our own address': {
      key: async () => '10.244.94.0-24',
      value: vxlan('192.168.188.101'),
      said: /192\.168\.188\.101 is ours/,
    },
    'outside the cluster’s network': {
      key: async () => '10.99.1.0-24',
      value: vxlan('192.168.188.152'),
      said: /10\.99\.1\.0\/24 is outside the cluster's network/,
    },
  };
  for (const [what, { key, value, said }] of Object.entries(cases)) {
    it(`${what} is left out and told of, and nobody else is any the worse`, async () => {
      const before = await entries(node);
      const where = await key();
      await lossless(lab.podNamed('on-node-1'), lab.podNamed('on-node-2'), async () => {
        announce(where, value);
        try {
          await eventually(async () => assert.match(await health(node), said));
          assert.equal(await entries(node), before);
        } finally {
          withdraw(where);
        }
        await eventually(async () => assert.doesNotMatch(await health(node), said));
      });
      assert.equal(await entries(node), before);
    });
  }
});

describe('a peer that comes and goes a hundred times a second', () => {
  it('keeps nobody else from being reached, and is right in the end', async () => {
    const key = '10.244.95.0-24';
    const value = {
      PublicIP: '192.168.188.160',
      BackendType: 'vxlan',
      BackendData: { VNI: 1, VtepMAC: '0e:00:00:00:00:60' },
    };
    const other = '10.244.96.0-24';
    await lossless(lab.podNamed('on-node-1'), lab.podNamed('on-node-2'), async () => {
      for (let i = 0; i < 300; i++) {
        if (i % 2) withdraw(key);
        else announce(key, { ...value, PublicIP: `192.168.188.${160 + (i % 8)}` });
        await delay(10);
        // A node that joins meanwhile does not wait for the storm to be over.
        if (i === 100)
          announce(other, {
            ...value,
            PublicIP: '192.168.188.170',
            BackendData: { VNI: 1, VtepMAC: '0e:00:00:00:00:70' },
          });
      }
      assert.match(await entries(node), /10\.244\.96\.0\/24/);
      announce(key, value);
      await eventually(async () => {
        const now = await entries(node);
        assert.match(now, /10\.244\.95\.0\/24 via 10\.244\.95\.0 dev weft\.1/);
        assert.match(now, /0e:00:00:00:00:60 dst 192\.168\.188\.160/);
        assert.doesNotMatch(now, /dst 192\.168\.188\.16[1-7]/);
      });
    });
    for (const each of [key, other]) withdraw(each);
    await eventually(async () => assert.doesNotMatch(await entries(node), /10\.244\.9[56]\./));
  });
});

describe('another program', () => {
  it('that undoes a route again and again is given way to, told of once in the log and by name in health', async () => {
    await withLab({ name: labName('fight'), nodes: 3 }, async (arena) => {
      const [ours] = arena.nodes;
      assert.ok(ours);
      await Promise.all(['node-2', 'node-3'].map((host) => arena.pod(host, `on-${host}`)));
      const subnet = (await sh(ours, 'ip -o route show type unicast proto 87')).split(' ')[0] ?? '';
      const fighter = sh(
        ours,
        `end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do ip route del ${subnet} 2>/dev/null; sleep 0.02; done`,
      );
      const ping = new SteadyPing(arena.podNamed('on-node-2'), arena.podNamed('on-node-3'));
      await eventually(async () => {
        assert.match(await health(ours), new RegExp(`route ${subnet} .* .* keeps removing it`));
      });
      await fighter;
      assert.deepEqual((await ping.end()).lost, []);
      const told = ours.agent.log().match(/"reconcile\.problems"/g) ?? [];
      assert.equal(told.length, 1, ours.agent.log().slice(-2000));
      await eventually(async () => assert.match(await sh(ours, `ip route show ${subnet}`), /proto 87/));
    });
  });

  it('that puts entries on our device has the permanent ones taken away, and keeps the others', async () => {
    await sh(
      node,
      'ip neigh replace 10.244.97.9 lladdr 02:00:00:00:00:97 dev weft.1 nud permanent; bridge fdb append 02:00:00:00:00:97 dev weft.1 dst 192.168.188.197 self permanent; ip neigh replace 10.244.97.8 lladdr 02:00:00:00:00:98 dev weft.1 nud stale',
    );
    await eventually(async () => assert.doesNotMatch(await entries(node), /00:97/));
    assert.match(await sh(node, 'ip neigh show dev weft.1'), /10\.244\.97\.8 lladdr 02:00:00:00:00:98/);
  });
});
