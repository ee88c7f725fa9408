/**
 * Packets through the host's other firewalls, with real tunnels: pods' packets pass whatever drops at its end, forged
 * ones do not, and nobody but the tunnel's device sends VXLAN to peers.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { DesiredFirewall } from '../../agent/firewall/desired.ts';
import { Firewall } from '../../agent/firewall/firewall.ts';
import { readGuardDrops } from '../../agent/firewall/guard-drops.ts';
import { teardownFirewall } from '../../agent/firewall/teardown.ts';
import { cidr } from '../../inet/cidr.ts';
import { formatIp, type Ip, ip } from '../../inet/ip.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { frame, ipv4, openWire } from './traffic/frames.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('fwx');
let node: Place;
let pod: Place;
let ranged: Place;
let peer: Place;
let outside: Place;
let inner: Place;
let nfnl: Nfnl;
let firewall: Firewall;

/**
 * `node` with a leased pod on cni0, a pod with ranges of its own on br5, and a network behind eth1 (`inner`) that has
 * nothing to do with weft; `peer` behind its tunnel; `outside` on the underlay.
 */
before(async () => {
  const wire = ground.place('wire', 'link add wire type bridge', 'link set wire up');
  node = ground.place(
    'node',
    ...['cni0', 'br5'].flatMap((name) => [`link add ${name} type bridge`, `link set ${name} up`]),
  );
  peer = ground.place('peer');
  outside = ground.place('outside');
  inner = ground.place('inner');
  pod = ground.place('pod');
  ranged = ground.place('ranged');
  for (const [place, port, number] of [
    [node, 'node', 11],
    [peer, 'peer', 12],
    [outside, 'outside', 99],
  ] as const) {
    ground.join(place, 'eth0', wire, port);
    wire.ip(`link set ${port} master wire`);
    place.ip(`address add 192.0.2.${number}/24 dev eth0`, `address add fd01::${number}/64 dev eth0 nodad`);
  }
  ground.join(node, 'eth1', inner, 'eth0');
  ground.join(node, 'veth0', pod, 'eth0');
  ground.join(node, 'veth5', ranged, 'eth0');
  node.ip(
    'link set veth0 master cni0',
    'link set veth5 master br5',
    'address add 10.244.1.1/24 dev cni0',
    'address add fd00:1::1/64 dev cni0 nodad',
    'address add 10.5.0.1/24 dev br5',
    'address add 198.51.100.1/24 dev eth1',
  );
  pod.ip(
    'address add 10.244.1.2/24 dev eth0',
    'address add fd00:1::2/64 dev eth0 nodad',
    'route add default via 10.244.1.1',
    'route add default via fd00:1::1',
  );
  ranged.ip('address add 10.5.0.2/24 dev eth0', 'route add default via 10.5.0.1');
  inner.ip('address add 198.51.100.9/24 dev eth0', 'route add default via 198.51.100.1');
  outside.ip('route add default via 192.0.2.11', 'route add default via fd01::11');
  tunnel(node, { number: 1, other: 2, underlay: 12, local: 11 });
  tunnel(peer, { number: 2, other: 1, underlay: 11, local: 12 });
  peer.ip('address add 10.244.2.2/32 dev lo', 'address add fd00:2::2/128 dev lo nodad');
  for (const place of [node, peer]) {
    place.sysctl('net.ipv4.ip_forward', '1');
    place.sysctl('net.ipv6.conf.all.forwarding', '1');
  }
  nfnl = node.within(openNfnl);
  for (const place of [pod, ranged, peer, outside, inner, node]) {
    for (const host of ['0.0.0.0', '::'])
      for (const protocol of ['tcp', 'udp'] as const) await place.serve(protocol, host, 8000);
  }
});
beforeEach(() => {
  node.run('nft', 'flush', 'ruleset');
  for (const chain of chains()) legacy('-P', chain, 'ACCEPT');
  for (const verb of ['-F', '-X']) legacy(verb);
  // Unknown protocols have no ports: two senders cannot be masqueraded as one.
  node.run('conntrack', '-F');
  firewall = new Firewall(nfnl);
});
after(() => {
  nfnl?.close();
  ground.close();
});

/** Both tunnel devices as the agent makes them, with the entries of one peer. */
function tunnel(at: Place, ends: { number: number; other: number; underlay: number; local: number }): void {
  const { number, other, underlay, local } = ends;
  for (const [device, address, mac, network, far] of [
    ['weft.1', `192.0.2.${local}`, '02:00:00:00:10:0', `10.244.${other}`, `192.0.2.${underlay}`],
    ['weft-v6.1', `fd01::${local}`, '02:00:00:00:20:0', `fd00:${other}:`, `fd01::${underlay}`],
  ] as const) {
    const v4 = device === 'weft.1';
    at.ip(
      `link add ${device} address ${mac}${number} type vxlan id 1 local ${address} dstport 8472 nolearning`,
      `link set ${device} up`,
      v4
        ? `address add 10.244.${number}.0/32 dev ${device}`
        : `address add fd00:${number}::/128 dev ${device} nodad`,
      `neigh add ${v4 ? `${network}.0` : `${network}:`} lladdr ${mac}${other} dev ${device} nud permanent`,
      v4
        ? `route add ${network}.0/24 via ${network}.0 dev ${device} onlink`
        : `route add ${network}:/64 via ${network}: dev ${device} onlink`,
    );
    at.run('bridge', 'fdb', 'add', `${mac}${other}`, 'dev', device, 'dst', far);
  }
}

const desired: DesiredFirewall = {
  networks: [
    { cluster: cidr('10.244.0.0/16'), subnet: cidr('10.244.1.0/24') },
    { cluster: cidr('fd00::/16'), subnet: cidr('fd00:1::/64') },
  ],
  masquerade: { except: [] },
  direct: [],
  tunnel: { port: 8472, vni: 1, peers: [ip('192.0.2.12'), ip('fd01::12')] },
  pods: {
    made: [],
    interfaces: new Set(),
    networks: [{ bridge: 'br5', network: cidr('10.5.0.0/24') }],
  },
};
const ensure = (more: Partial<DesiredFirewall> = {}) =>
  node.within(() => firewall.ensure({ ...desired, ...more }));

const peerPods = { ipv4: '10.244.2.2', ipv6: 'fd00:2::2' } as const;
const pods = { ipv4: '10.244.1.2', ipv6: 'fd00:1::2' } as const;
const families = ['ipv4', 'ipv6'] as const;

/** Everything that a pod needs of its node: both ways to a pod of the peer, and out. */
async function podsPass(): Promise<void> {
  for (const family of families) {
    for (const protocol of ['tcp', 'udp'] as const) {
      assert.equal(await pod.askInVain(protocol, peerPods[family], 8000), pods[family]);
      assert.equal(
        await peer.askInVain(protocol, pods[family], 8000, { from: peerPods[family] }),
        peerPods[family],
      );
    }
  }
  assert.equal(await pod.askInVain('tcp', '192.0.2.99', 8000), '192.0.2.11');
}

/** Rules that leave pods without a network, by iptables for both families or in nft's language. */
const shutting: readonly (readonly [string, () => void])[] = [
  ...(['FORWARD', 'INPUT', 'OUTPUT'] as const).map(
    (name) => [`iptables -P ${name} DROP`, () => iptables('-P', name, 'DROP')] as const,
  ),
  ...(['input', 'forward', 'output'] as const).map(
    (hook) =>
      [
        `nft policy drop in the hook ${hook}`,
        () => nft(`table inet mine { chain c { type filter hook ${hook} priority 0; policy drop; }; }`),
      ] as const,
  ),
  [
    'all three policies of iptables',
    () => {
      for (const name of chains()) iptables('-P', name, 'DROP');
    },
  ],
  ...chains().map(
    (name) =>
      [
        `iptables ${name} tail that rejects by protocol`,
        () => {
          iptables('-A', name, '-m', 'mark', '--mark', '0x40/0x40', '-j', 'ACCEPT');
          for (const protocol of ['tcp', 'udp']) iptables('-A', name, '-p', protocol, '-j', 'REJECT');
          iptables('-A', name, '-j', 'REJECT');
        },
      ] as const,
  ),
  ...chains().map(
    (name) => [`iptables-legacy ${name} policy drop`, () => legacy('-P', name, 'DROP')] as const,
  ),
  ...chains().map(
    (name) =>
      [
        `iptables-legacy ${name} tail that rejects by protocol`,
        () => {
          legacy('-A', name, '-m', 'mark', '--mark', '0x40/0x40', '-j', 'ACCEPT');
          for (const protocol of ['tcp', 'udp']) legacy('-A', name, '-p', protocol, '-j', 'REJECT');
          legacy('-A', name, '-j', 'REJECT');
        },
      ] as const,
  ),
  [
    'iptables-legacy jump to a chain that ends in a drop',
    () => {
      legacy('-N', 'theirs');
      legacy(
        '-A',
        'theirs',
        '-m',
        'conntrack',
        '--ctstate',
        'NEW',
        '-m',
        'comment',
        '--comment',
        'a "b" -j',
        '-j',
        'DROP',
      );
      legacy('-A', 'FORWARD', '-j', 'theirs');
    },
  ],
  [
    'iptables tail of TCP and UDP alone',
    () => {
      for (const protocol of ['tcp', 'udp']) iptables('-A', 'FORWARD', '-p', protocol, '-j', 'DROP');
    },
  ],
  [
    'iptables tail for new connections',
    () => iptables('-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'),
  ],
  [
    'nft tail by protocol',
    () =>
      nft(
        'table inet mine { chain c { type filter hook forward priority 0; meta l4proto { tcp, udp } reject; }; }',
      ),
  ],
  [
    'nft tail for new connections',
    () => nft('table inet mine { chain c { type filter hook forward priority 0; ct state new drop; }; }'),
  ],
  [
    'nft tail by family',
    () =>
      nft(
        'table inet mine { chain c { type filter hook forward priority 0; meta nfproto ipv4 drop; meta nfproto ipv6 drop; }; }',
      ),
  ],
  [
    'iptables jump by protocol to a chain that rejects',
    () => {
      iptables('-N', 'tcp-end');
      iptables('-A', 'tcp-end', '-j', 'REJECT');
      iptables('-A', 'FORWARD', '-p', 'tcp', '-j', 'tcp-end');
    },
  ],
];

function chains(): readonly ['FORWARD', 'INPUT', 'OUTPUT'] {
  return ['FORWARD', 'INPUT', 'OUTPUT'];
}
const nft = (rules: string): void => void node.run('nft', rules);
function iptables(...args: string[]): void {
  for (const command of ['iptables', 'ip6tables']) node.run(command, ...args);
}

function legacy(...args: string[]): void {
  for (const command of ['iptables-legacy', 'ip6tables-legacy']) node.run(command, ...args);
}

describe('pods’ packets through another firewall', () => {
  it('no other firewall: they pass', async () => {
    ensure();
    await podsPass();
  });

  for (const [what, shut] of shutting) {
    it(`${what}: they pass`, async () => {
      shut();
      await assert.rejects(podsPass);
      assert.deepEqual(ensure().problems, []);
      await podsPass();
      assert.deepEqual(ensure().done, []);
    });
  }

  it('rule that names one pod: it stays dropped', async () => {
    iptables('-A', 'FORWARD', '-m', 'comment', '--comment', 'mine', '-j', 'ACCEPT');
    node.run('iptables', '-I', 'FORWARD', '-s', pods.ipv4, '-j', 'DROP');
    node.run('iptables', '-A', 'FORWARD', '-p', 'tcp', '-j', 'DROP');
    ensure();
    assert.equal(await pod.askInVain('tcp', peerPods.ipv4, 8000), 'ETIMEDOUT');
  });

  it('INPUT policy drop: what listens on the node stays closed to pods and to peers’ pods', async () => {
    iptables('-P', 'INPUT', 'DROP');
    ensure();
    await podsPass();
    assert.equal(await pod.askInVain('tcp', '10.244.1.1', 8000), 'ETIMEDOUT');
    assert.equal(await peer.askInVain('tcp', '10.244.1.1', 8000, { from: peerPods.ipv4 }), 'ETIMEDOUT');
    assert.equal(await peer.askInVain('tcp', '192.0.2.11', 8000), 'ETIMEDOUT');
  });

  it('INPUT and OUTPUT policy drop: probes of peers reach the agent, by the tunnel only', async () => {
    await node.serve('udp', '0.0.0.0', 8474);
    for (const name of ['INPUT', 'OUTPUT']) iptables('-P', name, 'DROP');
    ensure();
    // The answer is the agent's to mark; here it is let out by name.
    node.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--sport', '8474', '-j', 'ACCEPT');
    const from = peerPods.ipv4;
    assert.equal(await peer.askInVain('udp', '10.244.1.0', 8474, { from }), from);
    assert.equal(await peer.askInVain('udp', '192.0.2.11', 8474), 'ETIMEDOUT');
  });

  it('OUTPUT policy drop: the node’s own connections stay closed', async () => {
    iptables('-P', 'OUTPUT', 'DROP');
    ensure();
    await podsPass();
    assert.match(await node.askInVain('tcp', '192.0.2.99', 8000), /ETIMEDOUT|EPERM/);
  });

  it('teardown: other firewalls are as they were', () => {
    for (const name of chains()) iptables('-P', name, 'DROP');
    const was = node.run('iptables', '-S') + node.run('ip6tables', '-S');
    ensure();
    node.within(() => teardownFirewall(nfnl));
    assert.equal(node.run('iptables', '-S') + node.run('ip6tables', '-S'), was);
  });

  it('teardown, iptables-legacy: its rules are as they were', () => {
    legacy('-P', 'FORWARD', 'DROP');
    legacy('-A', 'INPUT', '-j', 'DROP');
    const was = node.run('iptables-legacy', '-S');
    ensure();
    assert.notEqual(node.run('iptables-legacy', '-S'), was);
    node.within(() => teardownFirewall(nfnl));
    assert.equal(node.run('iptables-legacy', '-S'), was);
  });

  it('iptables-legacy, a drop put before the rule of weft: the rule moves', async () => {
    legacy('-P', 'FORWARD', 'DROP');
    ensure();
    legacy('-I', 'FORWARD', '-p', 'tcp', '-j', 'DROP');
    await assert.rejects(podsPass);
    assert.match(ensure().done.join('\n'), /iptables-legacy FORWARD: .* is out of place/);
    await podsPass();
  });

  it('rules of version 0.1.0: they are replaced', () => {
    iptables('-P', 'FORWARD', 'DROP');
    nft(
      'add rule ip filter FORWARD ip saddr 10.244.0.0/16 counter accept comment "weft: pods from 10.244.0.0/16"',
    );
    ensure();
    assert.doesNotMatch(node.run('iptables', '-S'), /10\.244/);
    assert.match(node.run('iptables', '-S'), /weft that weft|packets that weft lets through/);
  });
});

describe('network with ranges of its own behind FORWARD policy drop', () => {
  beforeEach(() => {
    iptables('-P', 'FORWARD', 'DROP');
    nft(`table ip plugin {
      chain out { type nat hook postrouting priority srcnat; ip saddr 10.5.0.0/24 oifname != "br5" masquerade; }
      chain in { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 10.5.0.2:8000; }
    }`);
  });

  it('pod: it has egress, and its host ports are reached', async () => {
    assert.equal(await ranged.askInVain('tcp', '192.0.2.99', 8000), 'ETIMEDOUT');
    ensure();
    assert.equal(await ranged.askInVain('tcp', '192.0.2.99', 8000), '192.0.2.11');
    assert.equal(await outside.askInVain('tcp', '192.0.2.11', 8080), '192.0.2.99');
    assert.equal(await ranged.askInVain('tcp', peerPods.ipv4, 8000), '10.244.1.0');
  });

  it('others: they reach no port that is not mapped', async () => {
    ensure();
    assert.equal(await outside.askInVain('tcp', '10.5.0.2', 8000), 'ETIMEDOUT');
  });
});

describe('forged packets behind FORWARD policy drop', () => {
  const arrives = async (packet: () => void): Promise<boolean> => {
    const ears = openWire(inner, 'eth0');
    packet();
    // What the node lets through is heard before the answer to a question that was sent after it.
    inner.run('ping', '-c1', '-W5', '198.51.100.1');
    const heard = ears.heard().some((each) => each.readUInt16BE(12) === 0x0800 && each[23] === 253);
    ears.close();
    return heard;
  };
  const macOf = (place: Place, device: string): string =>
    JSON.parse(place.run('ip', '-j', 'link', 'show', device))[0].address;
  const forge = (from: string) => () => {
    const wire = openWire(outside, 'eth0');
    wire.send(ipv4({ fromMac: macOf(outside, 'eth0'), toMac: macOf(node, 'eth0') }, from, '198.51.100.9'));
    wire.close();
  };

  for (const [what, from] of [
    ['a local pod’s', '10.244.1.2'],
    ['a peer’s pod’s', '10.244.2.2'],
    ['a pod’s with ranges of its own', '10.5.0.2'],
  ] as const) {
    for (const direct of [[], ['eth0']]) {
      it(`address of ${what} from the underlay${direct.length ? ', direct backend' : ''}: dropped`, async () => {
        node.sysctl('net.ipv4.conf.all.rp_filter', '0');
        node.sysctl('net.ipv4.conf.eth0.rp_filter', '0');
        ensure({ direct });
        assert.ok(await arrives(forge(from)));
        iptables('-P', 'FORWARD', 'DROP');
        ensure({ direct });
        assert.ok(!(await arrives(forge(from))));
      });
    }
  }

  it('pod’s own packets to that network: they pass', async () => {
    iptables('-P', 'FORWARD', 'DROP');
    ensure();
    assert.equal(await pod.askInVain('tcp', '198.51.100.9', 8000), '198.51.100.1');
  });
});

/** For experiments (IEEE 802, section 9.2.3): frames of nobody else have it. */
const FRAME_TYPE = 0x88b5;

/** A VXLAN packet (RFC 7348, section 5) with an Ethernet frame for the peer's device. */
const vxlanPacket = (): string =>
  Buffer.concat([
    Buffer.from('0800000000000100', 'hex'),
    frame({ fromMac: '02:00:00:00:10:01', toMac: '02:00:00:00:10:02' }, FRAME_TYPE, Buffer.alloc(46)),
  ]).toString('hex');

describe('VXLAN to peers', () => {
  /** How many of the frames that `send` sends the peer takes out of its tunnels. */
  const taken = async (send: () => Promise<unknown>): Promise<number> => {
    const wires = ['weft.1', 'weft-v6.1'].map((device) => openWire(peer, device));
    await send();
    // Behind it on the same wire: once these are answered, the other has arrived or is lost.
    for (const host of ['192.0.2.12', 'fd01::12']) node.run('ping', '-c1', '-W5', host);
    const frames = wires
      .flatMap((wire) => wire.heard())
      .filter((each) => each.readUInt16BE(12) === FRAME_TYPE);
    for (const wire of wires) wire.close();
    return frames.length;
  };
  const sendFrom = (place: Place, host: string) =>
    place.askInVain('udp', host, 8472, { payload: vxlanPacket(), timeoutMs: 1 });

  for (const [family, host] of [
    ['IPv4', '192.0.2.12'],
    ['IPv6', 'fd01::12'],
  ] as const) {
    it(`process of the host, ${family}: it cannot send any`, async () => {
      assert.equal(await taken(() => sendFrom(node, host)), 1);
      ensure();
      assert.equal(await taken(() => sendFrom(node, host)), 0);
    });

    it(`pod whose packets are masqueraded, ${family}: it cannot send any`, async () => {
      ensure({ tunnel: undefined });
      assert.equal(await taken(() => sendFrom(pod, host)), 1);
      for (const shut of [() => undefined, () => iptables('-P', 'FORWARD', 'DROP')]) {
        shut();
        ensure();
        assert.equal(await taken(() => sendFrom(pod, host)), 0);
      }
    });
  }

  it('pod with ranges of its own: it cannot send any', async () => {
    nft(
      'table ip plugin { chain out { type nat hook postrouting priority srcnat; ip saddr 10.5.0.0/24 masquerade; }; }',
    );
    ensure({ tunnel: undefined });
    assert.equal(await taken(() => sendFrom(ranged, '192.0.2.12')), 1);
    ensure();
    assert.equal(await taken(() => sendFrom(ranged, '192.0.2.12')), 0);
  });

  it('packets that the guard dropped: they are counted by address', async () => {
    ensure();
    for (let i = 0; i < 3; i++) await sendFrom(outside, '192.0.2.11');
    await sendFrom(outside, 'fd01::11');
    outside.run('ping', '-c1', '-W5', '192.0.2.11');
    for (let i = 0; i < 2; i++) await sendFrom(node, '192.0.2.12');
    const text = ({ address, packets }: { address: Ip; packets: number }) =>
      `${formatIp(address)} ${packets}`;
    const { received, sent } = readGuardDrops(nfnl);
    assert.deepEqual(received.map(text), ['192.0.2.99 3', 'fd01::99 1']);
    assert.deepEqual(sent.map(text), ['192.0.2.12 2']);
    assert.deepEqual(ensure().done, []);
  });

  it('no guard yet: nothing is counted', () => {
    assert.deepEqual(readGuardDrops(nfnl), { received: [], sent: [] });
  });

  it('unprivileged process of the host: it reaches a peer’s pod by the tunnel', async () => {
    ensure();
    const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-c'];
    for (const address of Object.values(peerPods)) {
      node.run('timeout', '10', ...user, `exec 3<>/dev/tcp/${address}/8000`);
    }
    const packet = vxlanPacket().replace(/../g, '\\x$&');
    const send = `printf '${packet}' >/dev/udp/192.0.2.12/8472`;
    const refused = async () =>
      assert.throws(() => node.run('timeout', '10', ...user, send), /Operation not permitted/);
    assert.equal(await taken(refused), 0);
  });

  it('other marks on a packet: they are kept', async () => {
    nft(`table inet marks {
      chain early { type filter hook prerouting priority -400; meta mark set 0x10; }
      chain late { type filter hook postrouting priority 400; meta mark 0x1010 counter; meta mark 0x10 counter; }
    }`);
    ensure();
    assert.equal(await pod.ask('tcp', peerPods.ipv4, 8000), pods.ipv4);
    const late = node.run('nft', 'list', 'chain', 'inet', 'marks', 'late');
    assert.match(late, /0x00001010 counter packets [1-9]/);
    assert.match(late, /0x00000010 counter packets [1-9]/);
  });

  it('our mark on a packet that arrives: it is cleared', async () => {
    iptables('-P', 'INPUT', 'DROP');
    nft(
      'table inet marks { chain early { type filter hook prerouting priority -400; meta mark set 0x1000; }; }',
    );
    ensure();
    assert.equal(await outside.askInVain('tcp', '192.0.2.11', 8000), 'ETIMEDOUT');
  });
});
