/** agent/firewall with real packets: who is seen as whom, what passes and what does not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { DesiredFirewall } from '../../agent/firewall/desired.ts';
import { Firewall } from '../../agent/firewall/firewall.ts';
import { teardownFirewall } from '../../agent/firewall/teardown.ts';
import { cidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { NetlinkMonitor } from '../../kernel/netlink/monitor.ts';
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES, type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { nftEventOf } from '../../kernel/nft/notification.ts';
import { ensureParts } from '../../kernel/nft/part.ts';
import { masqueradeRules } from '../../plugin/attach/pod-rules.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('fw');
let node: Place;
let pod: Place;
let peer: Place;
let outside: Place;
let nfnl: Nfnl;
let firewall: Firewall;

/** `node` with a pod behind its bridge; `peer` (another node, with a pod's address of its own) and `outside` on its underlay. */
before(async () => {
  const wire = ground.place('wire', 'link add wire type bridge', 'link set wire up');
  node = ground.place('node', 'link add cni0 type bridge', 'link set cni0 up');
  pod = ground.place('pod');
  peer = ground.place('peer');
  outside = ground.place('outside');
  for (const [place, port] of [
    [node, 'node'],
    [peer, 'peer'],
    [outside, 'outside'],
  ] as const) {
    ground.join(place, 'eth0', wire, port);
    wire.ip(`link set ${port} master wire`);
  }
  ground.join(node, 'veth0', pod, 'eth0');
  node.ip(
    'link set veth0 master cni0',
    'address add 192.0.2.11/24 dev eth0',
    'address add fd01::11/64 dev eth0 nodad',
    'address add 10.244.1.1/24 dev cni0',
    'address add fd00:1::1/64 dev cni0 nodad',
    'route add 10.244.2.0/24 via 192.0.2.12',
    'route add fd00:2::/64 via fd01::12',
  );
  pod.ip(
    'address add 10.244.1.2/24 dev eth0',
    'address add fd00:1::2/64 dev eth0 nodad',
    'route add default via 10.244.1.1',
    'route add default via fd00:1::1',
  );
  peer.ip(
    'address add 192.0.2.12/24 dev eth0',
    'address add fd01::12/64 dev eth0 nodad',
    'address add 10.244.2.2/32 dev lo',
    'address add fd00:2::2/128 dev lo',
    'route add 10.244.1.0/24 via 192.0.2.11',
    'route add fd00:1::/64 via fd01::11',
  );
  outside.ip(
    'address add 192.0.2.99/24 dev eth0',
    'address add fd01::99/64 dev eth0 nodad',
    'route add 10.244.0.0/16 via 192.0.2.11',
    'route add fd00::/16 via fd01::11',
  );
  node.sysctl('net.ipv4.ip_forward', '1');
  node.sysctl('net.ipv6.conf.all.forwarding', '1');
  nfnl = node.within(openNfnl);
  for (const place of [pod, peer, outside]) {
    for (const host of ['0.0.0.0', '::'])
      for (const protocol of ['tcp', 'udp'] as const) await place.serve(protocol, host, 8000);
  }
});
beforeEach(() => {
  node.run('nft', 'flush', 'ruleset');
  firewall = new Firewall(nfnl);
});
after(() => {
  nfnl?.close();
  ground.close();
});

const desired: DesiredFirewall = {
  networks: [
    { cluster: cidr('10.244.0.0/16'), subnet: cidr('10.244.1.0/24') },
    { cluster: cidr('fd00::/16'), subnet: cidr('fd00:1::/64') },
  ],
  masquerade: { except: [] },
  direct: ['eth0'],
  tunnel: { port: 8472, vni: 1, peers: [ip('192.0.2.12'), ip('fd01::12')] },
  pods: undefined,
};
const ensure = (more: Partial<DesiredFirewall> = {}) =>
  node.within(() => firewall.ensure({ ...desired, ...more }));

const addresses = {
  ipv4: {
    node: '192.0.2.11',
    pod: '10.244.1.2',
    peerPod: '10.244.2.2',
    outside: '192.0.2.99',
    except: '192.0.2.0/24',
  },
  ipv6: {
    node: 'fd01::11',
    pod: 'fd00:1::2',
    peerPod: 'fd00:2::2',
    outside: 'fd01::99',
    except: 'fd01::/64',
  },
} as const;

for (const [family, at] of Object.entries(addresses)) {
  describe(`masquerade, ${family}`, () => {
    it('gives pods the host’s address outside, and their own inside', async () => {
      assert.equal(await pod.ask('tcp', at.outside, 8000), at.pod);
      ensure();
      assert.equal(await pod.ask('tcp', at.outside, 8000), at.node);
      assert.equal(await pod.ask('udp', at.outside, 8000), at.node);
      assert.equal(await pod.ask('tcp', at.peerPod, 8000), at.pod);
      assert.equal(await peer.ask('tcp', at.pod, 8000, { from: at.peerPod }), at.peerPod);
    });

    it('leaves alone what comes from outside to a pod of this node, not to one of another', async () => {
      ensure();
      assert.equal(await outside.ask('tcp', at.pod, 8000), at.outside);
      assert.equal(await outside.ask('tcp', at.peerPod, 8000), at.node);
    });

    it('leaves excepted destinations alone', async () => {
      ensure({ masquerade: { except: [cidr(at.except)] } });
      assert.equal(await pod.ask('tcp', at.outside, 8000), at.pod);
    });

    it('goes when it is switched off', async () => {
      ensure();
      ensure({ masquerade: undefined });
      assert.equal(await pod.ask('tcp', at.outside, 8000), at.pod);
    });
  });
}

const until = async (condition: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + 30_000; !condition() && Date.now() < deadline; ) await setTimeout(10);
  assert.ok(condition());
};

/** A VXLAN packet (RFC 7348, section 5) with an Ethernet frame that nobody answers. */
const vxlanPacket = (vni: number): string =>
  `08000000${vni.toString(16).padStart(6, '0')}00${'02000000aa01'}${'02000000aa02'}88b5${'00'.repeat(46)}`;

describe('the tunnel', () => {
  const received = (device: string): number =>
    JSON.parse(node.run('ip', '-j', '-s', 'link', 'show', device))[0].stats64.rx.packets;
  const send = async (from: Place, at: string, vni: number): Promise<void> => {
    await from.ask('udp', at, 8472, { payload: vxlanPacket(vni), timeoutMs: 1 });
  };

  beforeEach(() => {
    for (const [device, vni, local] of [
      ['weft.1', 1, 'local 192.0.2.11'],
      ['other', 2, 'local 192.0.2.11'],
      ['weft-v6.1', 1, 'local fd01::11'],
    ]) {
      node.ip(
        `link add ${device} type vxlan id ${vni} ${local} dstport 8472 nolearning`,
        `link set ${device} up`,
      );
    }
  });
  afterEach(() => {
    node.ip('link del weft.1', 'link del other', 'link del weft-v6.1');
  });

  for (const [family, device] of [
    ['ipv4', 'weft.1'],
    ['ipv6', 'weft-v6.1'],
  ] as const) {
    const at = addresses[family].node;
    it(`is open to peers and to nobody else, ${family}`, async () => {
      ensure();
      await send(outside, at, 1);
      await send(peer, at, 1);
      await until(() => received(device) === 1);
    });

    it(`follows the peers as they come and go, ${family}`, async () => {
      ensure({ tunnel: { port: 8472, vni: 1, peers: [] } });
      await send(peer, at, 1);
      const { done } = ensure({ tunnel: { port: 8472, vni: 1, peers: [ip('192.0.2.99'), ip('fd01::99')] } });
      assert.deepEqual(done, [
        'add inet weft peers-ipv4 { 192.0.2.99 }',
        'add inet weft peers-ipv6 { fd01::99 }',
      ]);
      await send(peer, at, 1);
      await send(outside, at, 1);
      await until(() => received(device) === 1);
    });
  }

  it('has a guard that leaves another VXLAN on the same port alone', async () => {
    ensure();
    await send(outside, addresses.ipv4.node, 2);
    await until(() => received('other') === 1);
  });

  it('has no guard before the peers are known, and keeps the one it has', async () => {
    const unknown = { tunnel: { port: 8472, vni: 1, peers: undefined } };
    ensure(unknown);
    await send(outside, addresses.ipv4.node, 1);
    await until(() => received('weft.1') === 1);
    ensure();
    assert.deepEqual(
      node.within(() => new Firewall(nfnl).ensure({ ...desired, ...unknown }).done),
      [],
    );
  });

  it('costs no conntrack entry, neither way', async () => {
    ensure();
    node.ip(
      'address add 10.244.1.0/32 dev weft.1',
      'neigh add 10.244.2.9 lladdr 02:00:00:00:00:09 dev weft.1',
      'route add 10.244.2.9 dev weft.1',
    );
    node.run('bridge', 'fdb', 'add', '02:00:00:00:00:09', 'dev', 'weft.1', 'dst', '192.0.2.12');
    await send(peer, addresses.ipv4.node, 1);
    assert.equal(await node.askInVain('udp', '10.244.2.9', 9), 'ETIMEDOUT');
    const tracked = node.run('conntrack', '-L', '-p', 'udp');
    assert.match(tracked, /dst=10\.244\.2\.9/);
    assert.doesNotMatch(tracked, /(src|dst)=192\.0\.2\.12 .*dport=8472/);
  });
});

describe('other firewalls', () => {
  const at = addresses.ipv4;
  const toPeer = () => pod.askInVain('tcp', at.peerPod, 8000);

  it('with Docker’s FORWARD DROP: pods’ packets pass, what Docker drops by name does not', async () => {
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    node.run('iptables', '-N', 'DOCKER-USER');
    node.run('iptables', '-A', 'FORWARD', '-j', 'DOCKER-USER');
    assert.equal(await toPeer(), 'ETIMEDOUT');
    const { done, problems } = ensure();
    assert.deepEqual(problems, []);
    assert.ok(done.includes('ip filter FORWARD: weft: packets that weft lets through missing'));
    assert.equal(await toPeer(), at.pod);
    assert.equal(await outside.ask('tcp', at.pod, 8000), at.outside);
    node.run('iptables', '-I', 'DOCKER-USER', '-s', at.pod, '-j', 'DROP');
    assert.equal(await toPeer(), 'ETIMEDOUT');
    assert.deepEqual(ensure().done, []);
  });

  it('that iptables keeps can still be shown and changed by it', () => {
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    node.run('iptables', '-P', 'INPUT', 'DROP');
    ensure();
    const shown = node.run('iptables', '-S');
    assert.match(shown, /-A FORWARD -m mark --mark 0x1000\/0x1000 (-m comment --comment "[^"]*" )?-j ACCEPT/);
    assert.match(shown, /-A INPUT -m mark --mark 0x1000\/0x1000 (-m comment --comment "[^"]*" )?-j ACCEPT/);
    const saved = node.run('iptables-save');
    node.run('sh', '-c', `iptables-restore <<'X'\n${saved}X`);
    assert.deepEqual(ensure().done, []);
  });

  it('that are flushed get our rules back', async () => {
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    ensure();
    node.run('iptables', '-F', 'FORWARD');
    assert.equal(await toPeer(), 'ETIMEDOUT');
    ensure();
    assert.equal(await toPeer(), at.pod);
  });

  it('that reject at the end of a chain, or by a jump, are passed before that', async () => {
    node.run('iptables', '-N', 'reject-forward');
    node.run('iptables', '-A', 'reject-forward', '-j', 'REJECT');
    node.run('iptables', '-A', 'FORWARD', '-j', 'reject-forward');
    assert.equal(await toPeer(), 'ECONNREFUSED');
    ensure();
    assert.equal(await toPeer(), at.pod);
    node.run('iptables', '-I', 'FORWARD', '-j', 'DROP');
    assert.match(ensure().done.join('\n'), /lets through is out of place/);
    assert.equal(await toPeer(), at.pod);
    assert.deepEqual(ensure().done, []);
  });

  it('that reject in a chain that a chain of theirs goes to, as firewalld’s by iptables do', async () => {
    for (const chain of ['FORWARD_ZONES', 'FWD_public']) node.run('iptables', '-N', chain);
    node.run('iptables', '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'ESTABLISHED', '-j', 'ACCEPT');
    node.run('iptables', '-A', 'FORWARD', '-j', 'FORWARD_ZONES');
    node.run('iptables', '-A', 'FORWARD_ZONES', '-i', '+', '-g', 'FWD_public');
    node.run('iptables', '-A', 'FWD_public', '-j', 'REJECT');
    node.run('iptables', '-A', 'FORWARD', '-j', 'REJECT');
    assert.equal(await toPeer(), 'ECONNREFUSED');
    ensure();
    assert.equal(await toPeer(), at.pod);
    assert.deepEqual(ensure().done, []);
  });

  it('whose chains are left before they drop anything are not touched', () => {
    node.run('iptables', '-N', 'theirs');
    node.run('iptables', '-A', 'FORWARD', '-j', 'theirs');
    node.run('iptables', '-A', 'theirs', '-j', 'RETURN');
    node.run('iptables', '-A', 'theirs', '-j', 'DROP');
    ensure();
    assert.doesNotMatch(node.run('iptables', '-S'), /weft/);
  });

  it('of an operator’s own, native and for both families', async () => {
    node.run(
      'nft',
      'add table inet mine; add chain inet mine f { type filter hook forward priority 0; policy drop; }',
    );
    assert.equal(await pod.askInVain('tcp', addresses.ipv6.peerPod, 8000), 'ETIMEDOUT');
    ensure();
    assert.equal(await toPeer(), at.pod);
    assert.equal(await pod.ask('tcp', addresses.ipv6.peerPod, 8000), addresses.ipv6.pod);
  });

  it('that drop nothing are not touched, and are left when they stop dropping', () => {
    node.run('iptables', '-P', 'FORWARD', 'ACCEPT');
    ensure();
    assert.doesNotMatch(node.run('iptables', '-S'), /weft/);
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    ensure();
    node.run('iptables', '-P', 'FORWARD', 'ACCEPT');
    assert.match(ensure().done.join('\n'), /is not needed/);
    assert.doesNotMatch(node.run('iptables', '-S'), /weft/);
  });

  it('are as they were after the teardown', () => {
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    node.run('iptables', '-P', 'INPUT', 'DROP');
    const before = node.run('iptables', '-S');
    ensure();
    node.within(() => teardownFirewall(nfnl));
    assert.equal(node.run('iptables', '-S'), before);
  });

  it('that refuse are a problem that is told, and the rest is done all the same', async () => {
    const drops = 'chain f { type filter hook forward priority 0; policy drop; };';
    const owner = spawn('nsenter', [`--net=/run/netns/${node.name}`, 'nft', '-i'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    try {
      owner.stdin.write(`add table inet owned { flags owner; ${drops} }\n`);
      await until(() => node.run('nft', 'list', 'tables').includes('owned'));
      node.run('nft', `table inet zz { ${drops} }`);
      const { problems } = ensure();
      assert.match(problems.join('\n'), /inet owned f.*not permitted/);
      assert.match(node.run('nft', 'list', 'table', 'inet', 'zz'), /weft: packets/);
    } finally {
      owner.kill();
      await once(owner, 'exit');
    }
  });
});

describe('what the kernel tells of a change', () => {
  /** The reasons for a pass that notifications give while `change` is made. */
  const told = async (change: () => void, more: Partial<DesiredFirewall> = {}): Promise<string[]> => {
    ensure(more);
    const stop = new AbortController();
    const monitor = node.within(() => NetlinkMonitor.open([NFNLGRP_NFTABLES], NETLINK_NETFILTER));
    const reasons = new Set<string>();
    let last = false;
    const running = monitor.run(
      {
        onMessage: (message) => {
          const reason = firewall.observe(message);
          if (reason) reasons.add(reason);
          last ||= nftEventOf(message)?.table === 'last';
        },
        onOverrun: () => assert.fail('overrun'),
      },
      stop.signal,
    );
    try {
      change();
      node.run('nft', 'add table inet last');
      await until(() => last);
    } finally {
      stop.abort();
      await running;
    }
    return [...reasons];
  };

  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['the table is gone', 'delete table inet weft', ['firewall table gone']],
    ['a rule is gone', 'flush chain inet weft masquerading', ['firewall rule gone']],
    ['a peer is gone', 'delete element inet weft peers-ipv4 { 192.0.2.12 }', ['tunnel guard changed']],
    ['a stranger is let in', 'add element inet weft peers-ipv4 { 192.0.2.99 }', ['tunnel guard changed']],
    ['a peer is told again', 'add element inet weft peers-ipv4 { 192.0.2.12 }', []],
    [
      'another firewall begins',
      'table inet x { chain f { type filter hook forward priority 0; }; }',
      ['another firewall'],
    ],
    ['another table changes', 'table inet x { chain f { accept; }; }', []],
  ];
  for (const [what, command, reasons] of cases) {
    it(`${reasons.length ? 'leads' : 'does not lead'} to a pass when ${what}`, async () => {
      const all = await told(() => node.run('nft', command));
      for (const reason of reasons) assert.ok(all.includes(reason), all.join(', '));
      if (reasons.length === 0) assert.deepEqual(all, []);
    });
  }

  for (const [bridge, reasons] of [
    ['br5', []],
    ['br6', ['pods on a new bridge']],
  ] as const) {
    it(`pod with ranges of its own on ${reasons.length ? 'a new' : 'a known'} bridge: ${reasons.length ? 'a pass follows' : 'no pass'}`, async () => {
      const pods = {
        made: [],
        interfaces: new Set<string>(),
        networks: [{ bridge: 'br5', network: cidr('10.5.0.0/24') }],
      };
      const part = masqueradeRules.part;
      node.within(() => ensureParts({ nfnl, name: part, desired: [part], all: false }));
      const add = `add element inet weft at-home-ipv4 { 10.5.0.2 . "${bridge}" comment "weft:x/veth9" }`;
      assert.deepEqual(await told(() => node.run('nft', add), { pods }), reasons);
    });
  }

  it('leads to a pass when a rule of ours in another firewall is gone', async () => {
    node.run('iptables', '-P', 'FORWARD', 'DROP');
    assert.deepEqual(await told(() => node.run('iptables', '-F', 'FORWARD')), ['another firewall']);
  });

  it('leads to a pass when a chain that another firewall jumps to has a new rule', async () => {
    node.run('iptables', '-N', 'theirs');
    node.run('iptables', '-A', 'FORWARD', '-j', 'theirs');
    assert.deepEqual(await told(() => node.run('iptables', '-A', 'theirs', '-j', 'REJECT')), [
      'another firewall',
    ]);
  });
});

const madeAnew = ['passage', 'masquerade', 'tunnel'].map((part) => `inet weft ${part}: missing`);

describe('the table', () => {
  it('is left alone once it is right, by a process without a memory too', () => {
    assert.deepEqual(ensure().done, madeAnew);
    assert.deepEqual(ensure().done, []);
    assert.deepEqual(
      node.within(() => new Firewall(nfnl).plan(desired)),
      [],
    );
    assert.deepEqual(node.within(() => new Firewall(nfnl).ensure(desired)).done, []);
  });

  it('is never without its peers, not even when it is made anew', () => {
    ensure();
    node.run('nft', 'flush', 'ruleset');
    assert.deepEqual(ensure().done, madeAnew);
    assert.match(node.run('nft', 'list', 'set', 'inet', 'weft', 'peers-ipv6'), /fd01::12/);
  });

  it('is restored where a rule was replaced by another', () => {
    ensure();
    node.run('nft', 'flush chain inet weft tunnel-in; add rule inet weft tunnel-in udp dport 1 notrack');
    assert.deepEqual(ensure().done, ['inet weft tunnel: changed outside weft']);
    assert.doesNotMatch(node.run('nft', 'list', 'table', 'inet', 'weft'), /dport 1 /);
  });

  it('says what it would do without doing it', () => {
    const planned = node.within(() => firewall.plan(desired));
    assert.ok(planned.includes('inet weft masquerade: missing'));
    assert.equal(node.run('nft', 'list', 'ruleset'), '');
  });

  it('is gone after the teardown, and nothing else is', () => {
    node.run('nft', 'add table inet other');
    ensure();
    assert.deepEqual(
      node.within(() => teardownFirewall(nfnl)),
      ['table inet weft'],
    );
    assert.equal(node.run('nft', 'list', 'ruleset').trim(), 'table inet other {\n}');
  });
});
