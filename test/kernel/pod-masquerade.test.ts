/** Pods of ranges of their own that ask for masquerading: who is seen as whom. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { elements } from '../../kernel/nft/element.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { masqueradeRules } from '../../plugin/attach/pod-rules.ts';
import { ruleStep } from '../../plugin/attach/rule-step.ts';
import { anAttachment, podAddress } from './traffic/attachment.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('mq');
let node: Place;
let pod: Place;
let sibling: Place;
let outside: Place;
let nfnl: Nfnl;

before(async () => {
  node = ground.place('node', 'link add br7 type bridge', 'link set br7 up');
  pod = ground.place('pod');
  sibling = ground.place('sibling');
  outside = ground.place('outside');
  ground.join(node, 'eth0', outside, 'eth0');
  node.ip(
    'address add 192.0.2.11/24 dev eth0',
    'address add fd01::11/64 dev eth0 nodad',
    'address add 10.7.0.1/24 dev br7',
    'address add fd07::1/64 dev br7 nodad',
  );
  outside.ip(
    'address add 192.0.2.99/24 dev eth0',
    'address add fd01::99/64 dev eth0 nodad',
    'route add 10.7.0.0/24 via 192.0.2.11',
    'route add fd07::/64 via fd01::11',
  );
  for (const [place, port, number] of [
    [pod, 'veth1', 2],
    [sibling, 'veth2', 3],
  ] as const) {
    ground.join(node, port, place, 'eth0');
    node.ip(`link set ${port} master br7`);
    place.ip(
      `address add 10.7.0.${number}/24 dev eth0`,
      `address add fd07::${number}/64 dev eth0 nodad`,
      'route add default via 10.7.0.1',
      'route add default via fd07::1',
    );
  }
  node.sysctl('net.ipv4.ip_forward', '1');
  node.sysctl('net.ipv6.conf.all.forwarding', '1');
  nfnl = node.within(openNfnl);
  for (const place of [sibling, outside]) {
    for (const host of ['0.0.0.0', '::']) await place.serve('tcp', host, 80);
  }
});
after(() => {
  nfnl?.close();
  ground.close();
});

const attachment = anAttachment({
  bridge: 'br7',
  addresses: [podAddress('10.7.0.2', '10.7.0.1'), podAddress('fd07::2', 'fd07::1')],
  masquerade: true,
});
const step = () => ruleStep({ wish: 'ipMasq', rules: masqueradeRules, nfnl: () => nfnl });

for (const bridged of ['0', '1']) {
  describe(`a pod with ipMasq, bridge-nf-call-iptables ${bridged}`, () => {
    before(() => {
      node.sysctl('net.bridge.bridge-nf-call-iptables', bridged);
      node.sysctl('net.bridge.bridge-nf-call-ip6tables', bridged);
      node.within(() => step().ensure(attachment));
    });
    after(() => node.within(() => step().teardown(attachment)));

    const cases: readonly (readonly [string, string, string, string])[] = [
      ['IPv4', '192.0.2.99', '192.0.2.11', '10.7.0.3'],
      ['IPv6', 'fd01::99', 'fd01::11', 'fd07::3'],
    ];
    for (const [family, away, node, home] of cases) {
      it(`has the node’s address outside, and its own on its bridge, ${family}`, async () => {
        assert.equal(await pod.ask('tcp', away, 80), node);
        assert.equal(await pod.ask('tcp', home, 80), family === 'IPv4' ? '10.7.0.2' : 'fd07::2');
      });
      it(`is the only one, ${family}`, async () => {
        assert.equal(await sibling.ask('tcp', away, 80), home);
      });
    }
  });
}

it('leaves nothing in any set', () => {
  for (const set of masqueradeRules.sets) assert.deepEqual(elements(nfnl, set), []);
});
