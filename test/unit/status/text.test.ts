import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeStatus, PeerStatus } from '../../../agent/status/node-status.ts';
import { isHealthy, stateOf } from '../../../agent/status/node-status.ts';
import { duration, statusText } from '../../../cli/status-text.ts';

const peerNamed = (i: number, more: Partial<PeerStatus> = {}): PeerStatus => ({
  name: `node-${i}`,
  key: `10.244.${i}.0-24`,
  subnet: `10.244.${i}.0/24`,
  address: `192.168.188.${i}`,
  family: 'ipv4',
  path: 'vxlan',
  state: 'ok',
  rttMs: 0.4,
  ...more,
});

const node = (peers: readonly PeerStatus[]): NodeStatus => ({
  node: 'node-1',
  id: 'id',
  agent: { running: true, version: '0.2.0' },
  ready: true,
  lease: { subnets: ['10.244.1.0/24'], state: 'held', secondsLeft: 86_000, renewedSecondsAgo: 4 },
  store: 'file /var/lib/weft/store',
  underlay: { interface: 'eth0', addresses: ['192.168.188.101'], mtuBytes: 1500 },
  backend: { type: 'vxlan', devices: ['weft.1'], podMtuBytes: 1450 },
  pods: { running: 2, addressesFree: 251 },
  problems: [],
  peersComplete: true,
  otherVersions: [],
  peers,
});

describe('weftctl status as text', () => {
  it('1000 peers, one wrong: the wrong one is listed, the others are counted', () => {
    const peers = Array.from({ length: 1000 }, (_, i) =>
      i === 7 ? peerNamed(i, { state: 'incomplete', reason: 'route missing' }) : peerNamed(i),
    );
    const text = statusText(node(peers), { all: false });
    assert.match(text, /^node-7 +10\.244\.7\.0\/24 .* incomplete/m);
    assert.match(text, /^ {2}node-7: route missing$/m);
    assert.match(text, /^999 more peers are ok/m);
    assert.ok(text.split('\n').length < 25);
    assert.ok(statusText(node(peers), { all: true }).split('\n').length > 1000);
  });

  it('a peer without its entries that is also silent: the entries are the reason', () => {
    assert.deepEqual(stateOf(['route missing'], { reachable: false }), {
      state: 'incomplete',
      reason: 'route missing',
    });
    assert.equal(stateOf([], { reachable: false }).state, 'unreachable');
    assert.equal(stateOf([], undefined).state, 'unknown');
    assert.equal(stateOf([], { reachable: true }).state, 'ok');
  });

  it('durations: the two largest units', () => {
    assert.deepEqual([4, 61, 86_340, 187_200].map(duration), ['4 s', '1 min', '23 h 59 min', '2 d 4 h']);
  });
});

it('status, list of peers that is incomplete: not healthy, and the text says so', () => {
  const incomplete = { ...node([]), peersComplete: false };
  assert.equal(isHealthy(node([])), true);
  assert.equal(isHealthy(incomplete), false);
  assert.match(statusText(incomplete, { all: false }), /list of peers is not complete/);
});
