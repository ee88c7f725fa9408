/** The spoof check with real frames: what a pod says in its own name passes its bridge, the rest does not. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { elements } from '../../kernel/nft/element.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { spoofRules } from '../../plugin/attach/pod-rules.ts';
import { ruleStep } from '../../plugin/attach/rule-step.ts';
import { anAttachment, podAddress } from './traffic/attachment.ts';
import { arp, frame, icmpv6, ipv4, openWire, type Wire } from './traffic/frames.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('sp');
const mac = { pod: '02:00:00:00:02:01', sibling: '02:00:00:00:02:02' };
let node: Place;
let pod: Place;
let sibling: Place;
let nfnl: Nfnl;
let speaks: Wire;
let hears: Wire;

before(async () => {
  node = ground.place(
    'node',
    'link add cni0 type bridge',
    'link set cni0 up',
    'address add 10.244.1.1/24 dev cni0',
  );
  pod = ground.place('pod');
  sibling = ground.place('sibling');
  for (const [place, port, number] of [
    [pod, 'veth1', 1],
    [sibling, 'veth2', 2],
  ] as const) {
    ground.join(node, port, place, 'eth0');
    node.ip(`link set ${port} master cni0`);
    place.ip(
      `link set eth0 address 02:00:00:00:02:0${number}`,
      `address add 10.244.1.${number + 1}/24 dev eth0`,
      `address add fd00:1::${number + 1}/64 dev eth0 nodad`,
    );
  }
  nfnl = node.within(openNfnl);
  speaks = openWire(pod, 'eth0');
  hears = openWire(sibling, 'eth0');
  for (const host of ['0.0.0.0', '::']) await sibling.serve('tcp', host, 80);
});
after(() => {
  for (const closable of [speaks, hears, nfnl]) closable?.close();
  ground.close();
});

const checked = anAttachment({
  host: { name: 'veth1', index: 1, mac: '' },
  container: { index: 1, mac: mac.pod },
  addresses: [podAddress('10.244.1.2', '10.244.1.1'), podAddress('fd00:1::2', 'fd00:1::1')],
  spoofCheck: { mac: true, address: true },
});
const step = () => ruleStep({ wish: 'spoofCheck', rules: spoofRules, nfnl: () => nfnl });
const ensure = (attachment = checked) => node.within(() => step().ensure(attachment));
const teardown = (attachment = checked) => node.within(() => step().teardown(attachment));

/** Sent before an honest frame, which is waited for: what did not come by then does not come. */
async function passes(sent: Buffer): Promise<boolean> {
  const honest = ipv4({ fromMac: mac.pod }, '10.244.1.2', '10.244.1.3');
  hears.heard();
  speaks.send(sent);
  speaks.send(honest);
  const heard: Buffer[] = [];
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await setTimeout(2)) {
    heard.push(...hears.heard());
    const copies = heard.filter((each) => each.equals(honest)).length;
    if (copies === (sent.equals(honest) ? 2 : 1)) return heard.some((each) => each.equals(sent));
  }
  return assert.fail('not even the honest frame was heard');
}

const own = { fromMac: mac.pod };
const others = { fromMac: mac.sibling };
/** Whether it passes where addresses are checked, and where the MAC is. */
const frames: readonly (readonly [string, { readonly address: boolean; readonly mac: boolean }, Buffer])[] = [
  ['IPv4 from its address', { address: true, mac: true }, ipv4(own, '10.244.1.2', '10.244.1.3')],
  ['IPv4 from another address', { address: false, mac: true }, ipv4(own, '10.244.1.3', '10.244.1.1')],
  ['IPv4 from no address', { address: false, mac: true }, ipv4(own, '0.0.0.0', '255.255.255.255')],
  ['IPv4 from another MAC', { address: true, mac: false }, ipv4(others, '10.244.1.2', '10.244.1.1')],
  [
    'an ARP answer for itself',
    { address: true, mac: true },
    arp(own, { operation: 2, mac: mac.pod, address: '10.244.1.2' }),
  ],
  [
    'an ARP question as itself',
    { address: true, mac: true },
    arp(own, { operation: 1, mac: mac.pod, address: '10.244.1.2' }),
  ],
  [
    'an ARP probe',
    { address: true, mac: true },
    arp(own, { operation: 1, mac: mac.pod, address: '0.0.0.0' }),
  ],
  [
    'an ARP answer for another',
    { address: false, mac: true },
    arp(own, { operation: 2, mac: mac.pod, address: '10.244.1.3' }),
  ],
  [
    'a question from its IPv6 address',
    { address: true, mac: true },
    icmpv6(own, 'fd00:1::2', { type: 135, target: 'fd00:1::3' }),
  ],
  [
    'IPv6 from another address',
    { address: false, mac: true },
    icmpv6(own, 'fd00:1::3', { type: 128, target: '::' }),
  ],
  [
    'IPv6 from another MAC',
    { address: true, mac: false },
    icmpv6(others, 'fd00:1::2', { type: 128, target: '::' }),
  ],
  [
    'IPv6 from a link-local address',
    { address: true, mac: true },
    icmpv6(own, 'fe80::1', { type: 128, target: '::' }),
  ],
  [
    'duplicate address detection',
    { address: true, mac: true },
    icmpv6(own, '::', { type: 135, target: 'fe80::1' }),
  ],
  ['an echo from no address', { address: false, mac: true }, icmpv6(own, '::', { type: 128, target: '::' })],
  [
    'an advertisement of itself',
    { address: true, mac: true },
    icmpv6(own, 'fd00:1::2', { type: 136, target: 'fd00:1::2' }),
  ],
  [
    'an advertisement of its link-local address',
    { address: true, mac: true },
    icmpv6(own, 'fe80::1', { type: 136, target: 'fe80::1' }),
  ],
  [
    'an advertisement of another',
    { address: false, mac: true },
    icmpv6(own, 'fd00:1::2', { type: 136, target: 'fd00:1::3' }),
  ],
  [
    'the same from a link-local address',
    { address: false, mac: true },
    icmpv6(own, 'fe80::1', { type: 136, target: 'fd00:1::3' }),
  ],
  [
    'a router advertisement',
    { address: false, mac: true },
    icmpv6(own, 'fe80::1', { type: 134, target: '::' }),
  ],
  ['a redirect', { address: false, mac: true }, icmpv6(own, 'fe80::1', { type: 137, target: '::' })],
  [
    'what is neither IP nor ARP',
    { address: false, mac: true },
    frame(own, 0x88b5, Buffer.from('experiment')),
  ],
];

for (const spoofCheck of [
  { address: true, mac: false },
  { address: false, mac: true },
  { address: true, mac: true },
]) {
  const checks = Object.entries(spoofCheck).filter(([, checks]) => checks);
  const attachment = { ...checked, spoofCheck };
  describe(`a pod whose ${checks.map(([what]) => what).join(' and ')} is checked`, () => {
    before(() => ensure(attachment));
    after(() => teardown(attachment));
    for (const [what, passesFor, sent] of frames) {
      const allowed = (passesFor.address || !spoofCheck.address) && (passesFor.mac || !spoofCheck.mac);
      it(`${allowed ? 'can' : 'cannot'} send ${what}`, async () => assert.equal(await passes(sent), allowed));
    }

    it('talks to its siblings and the node', async () => {
      assert.equal(await pod.ask('tcp', '10.244.1.3', 80), '10.244.1.2');
      assert.equal(await pod.ask('tcp', 'fd00:1::3', 80), 'fd00:1::2');
      pod.run('ping', '-c1', '-W10', '10.244.1.1');
    });
  });
}

it('an ARP answer with another’s MAC is a lie where the MAC is checked', async () => {
  const attachment = { ...checked, spoofCheck: { address: true, mac: true } };
  ensure(attachment);
  assert.equal(await passes(arp(own, { operation: 2, mac: mac.sibling, address: '10.244.1.2' })), false);
  teardown(attachment);
});

describe('a pod that is not checked', () => {
  for (const [what, , sent] of frames) it(`can send ${what}`, async () => assert.ok(await passes(sent)));

  it('stays unchecked beside one that is', async () => {
    ensure({ ...checked, host: { ...checked.host, name: 'veth9' } });
    assert.ok(await passes(ipv4(own, '10.244.1.3', '10.244.1.1')));
    teardown({ ...checked, host: { ...checked.host, name: 'veth9' } });
  });

  it('has nothing in any set', () => {
    for (const set of spoofRules.sets) assert.deepEqual(elements(nfnl, set), []);
  });
});
