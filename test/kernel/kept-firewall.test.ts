/** agent/firewall as the agent keeps it: a new peer costs its element, and whatever somebody changed meanwhile is put right. */
import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import { FirewallPart } from '../../agent/firewall/firewall-part.ts';
import type { OverlayState } from '../../agent/overlay/state.ts';
import { cidr } from '../../inet/cidr.ts';
import { ip } from '../../inet/ip.ts';
import { Ground } from './traffic/ground.ts';

const ground = new Ground('kept-fw');
const node = ground.place('node');
const over = new AbortController();
after(() => {
  over.abort();
  ground.close();
});

const masquerade = { except: [] };
const pods = { made: [], interfaces: new Set<string>(), networks: [] };
let kept: FirewallPart;
beforeEach(() => {
  node.run('nft', 'flush', 'ruleset');
  kept = node.within(
    () =>
      new FirewallPart({
        masquerade: () => masquerade,
        pods: () => pods,
        onDamage: () => undefined,
        signal: over.signal,
      }),
  );
});

const stateWith = (...endpoints: string[]): OverlayState => ({
  network: cidr('10.244.0.0/16'),
  subnet: cidr('10.244.1.0/24'),
  underlay: {
    index: 2,
    name: 'eth0',
    address: { address: ip('192.0.2.11'), length: 24 },
    mtuBytes: 1500,
  },
  vtepMac: '0e:00:00:00:00:01',
  backend: { type: 'vxlan', vni: 1, port: 8472, mtuBytes: undefined },
  peers: endpoints.map((endpoint, n) => ({
    key: `10.244.${n + 2}.0-24`,
    name: undefined,
    subnet: cidr(`10.244.${n + 2}.0/24`),
    endpoint: ip(endpoint),
    vtepMac: undefined,
  })),
  answeringDirect: new Set(),
  pathMtuBytes: new Map(),
  complete: true,
  unleased: undefined,
});
const ensure = (...endpoints: string[]) =>
  node.within(() => kept.reconcile({ families: [stateWith(...endpoints)], underlayProblems: [] }));
const rules = () => node.run('nft', 'list', 'table', 'inet', 'weft');

/** Made, and looked at once more. */
const settled = (...endpoints: string[]): void => {
  assert.notDeepEqual(ensure(...endpoints).done, []);
  assert.deepEqual(ensure(...endpoints).done, []);
};

describe('a firewall that is kept', () => {
  it('takes in a new peer, and one that goes', () => {
    settled('192.0.2.12');
    assert.equal(ensure('192.0.2.12', '192.0.2.13').done.length, 1);
    assert.match(rules(), /192\.0\.2\.12, 192\.0\.2\.13/);
    assert.deepEqual(ensure('192.0.2.12', '192.0.2.13').done, []);
    assert.equal(ensure('192.0.2.13').done.length, 1);
    assert.doesNotMatch(rules(), /192\.0\.2\.12/);
  });

  it('puts back what somebody took away, before a new peer came and after', () => {
    settled('192.0.2.12');
    const whole = rules();
    node.run('nft', 'flush', 'table', 'inet', 'weft');
    ensure('192.0.2.13');
    assert.equal(rules(), whole.replace('192.0.2.12', '192.0.2.13'));
    settled('192.0.2.14');
    ensure('192.0.2.15');
    node.run('nft', 'flush', 'table', 'inet', 'weft');
    ensure('192.0.2.15');
    assert.equal(rules(), whole.replace('192.0.2.12', '192.0.2.15'));
  });
});
