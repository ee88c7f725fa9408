/** Host ports with real packets: who reaches a pod by a port of its node, and who does not. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ip } from '../../inet/ip.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { elements } from '../../kernel/nft/element.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { hostPortSets } from '../../plugin/attach/host-ports/sets.ts';
import { hostPortsStep } from '../../plugin/attach/host-ports/step.ts';
import type { PortMapping } from '../../plugin/protocol/network.ts';
import { anAttachment, podAddress } from './traffic/attachment.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('hp');
let node: Place;
let pod: Place;
let sibling: Place;
let outside: Place;
let nfnl: Nfnl;
let rtnl: Rtnl;

/** `node` with `pod` and `sibling` on its bridge, and `outside` beside it. */
before(async () => {
  node = ground.place('node', 'link add cni0 type bridge', 'link set cni0 up');
  pod = ground.place('pod');
  sibling = ground.place('sibling');
  outside = ground.place('outside');
  ground.join(node, 'eth0', outside, 'eth0');
  node.ip(
    'address add 192.0.2.11/24 dev eth0',
    'address add 192.0.2.12/24 dev eth0',
    'address add fd01::11/64 dev eth0 nodad',
    'address add 10.244.1.1/24 dev cni0',
    'address add fd00:1::1/64 dev cni0 nodad',
  );
  outside.ip('address add 192.0.2.99/24 dev eth0', 'address add fd01::99/64 dev eth0 nodad');
  for (const [place, port, number] of [
    [pod, 'veth1', 2],
    [sibling, 'veth2', 3],
  ] as const) {
    ground.join(node, port, place, 'eth0');
    // The reference bridge plugin and ours set hairpin on a port whose pod may have host ports.
    node.ip(`link set ${port} master cni0`, `link set ${port} type bridge_slave hairpin on`);
    place.ip(
      `address add 10.244.1.${number}/24 dev eth0`,
      `address add fd00:1::${number}/64 dev eth0 nodad`,
      'route add default via 10.244.1.1',
      'route add default via fd00:1::1',
    );
  }
  node.sysctl('net.ipv4.ip_forward', '1');
  node.sysctl('net.ipv6.conf.all.forwarding', '1');
  nfnl = node.within(openNfnl);
  rtnl = node.within(openRtnl);
  for (const place of [pod, sibling]) {
    for (const protocol of ['tcp', 'udp'] as const) {
      await place.serve(protocol, '0.0.0.0', 80);
      await place.serve(protocol, '::', 80);
    }
  }
});
beforeEach(() => {
  node.run('nft', 'flush', 'ruleset');
});
after(() => {
  nfnl?.close();
  rtnl?.close();
  ground.close();
});

const port = (hostPort: number, more: Partial<PortMapping> = {}): PortMapping => ({
  hostPort,
  containerPort: 80,
  protocol: 'tcp',
  hostIp: undefined,
  ...more,
});
const attachment = (name: string, number: number, hostPorts: readonly PortMapping[]): Attachment =>
  anAttachment({
    host: { name, index: 1, mac: '' },
    addresses: [podAddress(`10.244.1.${number}`, '10.244.1.1'), podAddress(`fd00:1::${number}`, 'fd00:1::1')],
    hostPorts,
  });
const mapped = (...hostPorts: PortMapping[]): Attachment => attachment('veth1', 2, hostPorts);
const step = () => hostPortsStep({ nfnl, rtnl });
const ensure = (each: Attachment) => node.within(() => step().ensure(each));
const teardown = (each: Attachment) => node.within(() => step().teardown(each));
const verify = (each: Attachment) => node.within(() => step().verify(each));
const remaining = (): number =>
  hostPortSets.reduce((sum, set) => sum + (elements(nfnl, set)?.length ?? 0), 0);

for (const bridged of ['0', '1']) {
  describe(`a host port, bridge-nf-call-iptables ${bridged}`, () => {
    before(() => {
      node.sysctl('net.bridge.bridge-nf-call-iptables', bridged);
      node.sysctl('net.bridge.bridge-nf-call-ip6tables', bridged);
    });

    const cases: readonly (readonly [string, () => Place, string, string])[] = [
      ['outside, who is seen as himself', () => outside, '192.0.2.11', '192.0.2.99'],
      ['outside by IPv6, who is seen as himself', () => outside, 'fd01::11', 'fd01::99'],
      ['the node itself', () => node, '192.0.2.11', '192.0.2.11'],
      ['the node itself by IPv6', () => node, 'fd01::11', 'fd01::11'],
      ['127.0.0.1', () => node, '127.0.0.1', '10.244.1.1'],
      ['a sibling', () => sibling, '192.0.2.11', '10.244.1.1'],
      ['a sibling by IPv6', () => sibling, 'fd01::11', 'fd00:1::1'],
      ['a sibling by the bridge’s address', () => sibling, '10.244.1.1', '10.244.1.1'],
      ['the pod itself', () => pod, '192.0.2.11', '10.244.1.1'],
      ['the pod itself by IPv6', () => pod, 'fd01::11', 'fd00:1::1'],
    ];
    for (const [who, place, at, seen] of cases) {
      for (const protocol of ['tcp', 'udp'] as const) {
        it(`is reached from ${who}, ${protocol}`, async () => {
          ensure(mapped(port(8080, { protocol })));
          assert.equal(await place().ask(protocol, at, 8080), seen);
        });
      }
    }
  });
}

describe('host ports', () => {
  it('on one address are not on another, and go before the same port on all', async () => {
    ensure(mapped(port(8080, { hostIp: ip('192.0.2.12') })));
    assert.equal(await outside.ask('tcp', '192.0.2.12', 8080), '192.0.2.99');
    assert.equal(await outside.ask('tcp', '192.0.2.11', 8080), 'ECONNREFUSED');
    ensure(attachment('veth2', 3, [port(8080)]));
    assert.equal(await outside.ask('tcp', '192.0.2.11', 8080), '192.0.2.99');
    assert.equal(await sibling.ask('tcp', '192.0.2.12', 8080), '10.244.1.1');
  });

  it('on 0.0.0.0 are on every address of IPv4, and on none of IPv6', async () => {
    ensure(mapped(port(8080, { hostIp: ip('0.0.0.0') })));
    assert.equal(await outside.ask('tcp', '192.0.2.12', 8080), '192.0.2.99');
    assert.equal(await outside.ask('tcp', 'fd01::11', 8080), 'ECONNREFUSED');
  });

  it('on 127.0.0.1 are there for the node only', async () => {
    ensure(mapped(port(8080, { hostIp: ip('127.0.0.1') })));
    assert.equal(await node.ask('tcp', '127.0.0.1', 8080), '10.244.1.1');
    assert.equal(await outside.ask('tcp', '192.0.2.11', 8080), 'ECONNREFUSED');
  });

  it('open no way to what listens on the node’s loopback interface', async () => {
    await node.serve('udp', '127.0.0.1', 9000);
    ensure(mapped(port(8080)));
    pod.sysctl('net.ipv4.conf.all.route_localnet', '1');
    pod.ip(
      'route add table 77 127.0.0.0/8 via 10.244.1.1',
      'rule add pref 1 to 127.0.0.0/8 dport 9000 lookup 77',
      'rule add pref 2 lookup local',
      'rule del pref 0',
    );
    const heard = () => node.run('conntrack', '-L', '-p', 'udp', '--dport', '9000');
    assert.equal(await pod.askInVain('udp', '127.0.0.1', 9000, { from: '10.244.1.2' }), 'ETIMEDOUT');
    assert.equal(heard(), '');
    node.run('nft', 'flush', 'chain', 'inet', 'weft', 'hostports-loopback');
    await pod.askInVain('udp', '127.0.0.1', 9000, { from: '10.244.1.2' });
    assert.match(heard(), /src=10\.244\.1\.2 dst=127\.0\.0\.1 /);
  });

  it('leave flows alone that pass the node on their way to the same port of another', async () => {
    ensure(mapped(port(1)));
    await outside.serve('udp', '192.0.2.99', 8080);
    outside.ip('route add 10.244.1.0/24 via 192.0.2.11');
    assert.equal(await sibling.ask('udp', '192.0.2.99', 8080), '10.244.1.3');
    ensure(mapped(port(8080, { protocol: 'udp' })));
    assert.match(node.run('conntrack', '-L', '-p', 'udp', '-d', '192.0.2.99'), /dport=8080/);
  });

  it('go with their pod, and a flow that goes on does not keep one alive', async () => {
    const one = mapped(port(8080, { protocol: 'udp' }));
    const other = attachment('veth2', 3, [port(8080, { protocol: 'udp' })]);
    const ask = () => outside.ask('udp', '192.0.2.11', 8080, { fromPort: 5000 });
    const target = () => node.run('conntrack', '-L', '-p', 'udp', '--orig-port-src', '5000');
    // Flows are tracked from the first rule on that looks at them.
    ensure(attachment('veth2', 3, [port(1)]));
    await node.serve('udp', '192.0.2.11', 8080);
    assert.equal(await ask(), '192.0.2.99');
    assert.match(target(), /src=192\.0\.2\.11 /);
    ensure(one);
    assert.equal(await ask(), '192.0.2.99');
    assert.match(target(), /src=10\.244\.1\.2 /);
    teardown(one);
    assert.equal(target(), '');
    ensure(other);
    assert.equal(await ask(), '192.0.2.99');
    assert.match(target(), /src=10\.244\.1\.3 /);
  });

  it('that another pod has are refused, all of them, naming the pod that has it', async () => {
    ensure(mapped(port(8080)));
    const other = attachment('veth2', 3, [port(9090), port(8080)]);
    assert.throws(() => ensure(other), {
      reason: 'host-port-taken',
      message: 'host port 8080/tcp is already mapped to 10.244.1.2 port 80, for weft:weft/veth1',
    });
    assert.equal(await outside.ask('tcp', '192.0.2.11', 9090), 'ECONNREFUSED');
    teardown(other);
    assert.equal(await outside.ask('tcp', '192.0.2.11', 8080), '192.0.2.99');
    teardown(mapped(port(8080)));
    ensure(other);
  });

  it('can be ensured and taken down any number of times, and lead to where the pod is now', () => {
    ensure(mapped(port(8080)));
    ensure(mapped(port(8080)));
    const moved = { ...mapped(port(8080), port(8081)), addresses: [podAddress('10.244.1.7', '10.244.1.1')] };
    ensure(moved);
    verify(moved);
    assert.match(node.run('nft', 'list', 'map', 'inet', 'weft', 'hostports-ipv4'), /10\.244\.1\.7 \. 80/);
    teardown(mapped(port(8080), port(8081)));
    teardown(mapped(port(8080), port(8081)));
    assert.equal(remaining(), 0);
  });

  const damages: readonly (readonly [string, string])[] = [
    ['the table', 'delete table inet weft'],
    ['a port', 'flush map inet weft hostports-ipv6'],
    ['the rules', 'flush chain inet weft part-hostports'],
  ];
  for (const [what, command] of damages) {
    it(`are found amiss without ${what}, and made whole again`, () => {
      ensure(mapped(port(8080)));
      verify(mapped(port(8080)));
      node.run('nft', command);
      assert.throws(() => verify(mapped(port(8080))), { reason: 'check-failed' });
      ensure(mapped(port(8080)));
      verify(mapped(port(8080)));
    });
  }

  it('of pods that are gone are swept, of this network only', () => {
    ensure(mapped(port(8080)));
    ensure(attachment('veth2', 3, [port(8081)]));
    ensure({ ...attachment('veth3', 4, [port(8082)]), network: 'weft2' });
    node.within(() => step().sweep('weft', () => [attachment('veth2', 3, [])]));
    const shown = node.run('nft', 'list', 'map', 'inet', 'weft', 'hostports-ipv4');
    assert.doesNotMatch(shown, /8080/);
    assert.match(shown, /8081/);
    assert.match(shown, /8082/);
  });
});
