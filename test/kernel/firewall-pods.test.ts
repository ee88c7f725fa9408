/** The agent's firewall and what pods have in it: kept, put back, and cleared away when they are gone. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { DesiredFirewall } from '../../agent/firewall/desired.ts';
import { Firewall } from '../../agent/firewall/firewall.ts';
import { cidr } from '../../inet/cidr.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { elements } from '../../kernel/nft/element.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { podRules } from '../../plugin/attach/pod-rules.ts';
import { allSteps } from '../../plugin/attach/steps.ts';
import { anAttachment, podAddress } from './traffic/attachment.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('fwp');
let node: Place;
let nfnl: Nfnl;
let rtnl: Rtnl;
let firewall: Firewall;
let nowMs = 0;

before(() => {
  node = ground.place('node', 'link add cni0 type bridge', 'link set cni0 up');
  nfnl = node.within(openNfnl);
  rtnl = node.within(openRtnl);
});
beforeEach(() => {
  node.run('nft', 'flush', 'ruleset');
  firewall = new Firewall(nfnl, () => nowMs);
});
after(() => {
  nfnl?.close();
  rtnl?.close();
  ground.close();
});

const pod = anAttachment({
  addresses: [podAddress('10.244.1.2', '10.244.1.1'), podAddress('fd00:1::2', 'fd00:1::1')],
  masquerade: true,
  spoofCheck: { mac: true, address: true },
  hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: undefined }],
});
const desired = (made: readonly Attachment[]): DesiredFirewall => ({
  networks: [{ cluster: cidr('10.244.0.0/16'), subnet: cidr('10.244.1.0/24') }],
  masquerade: { except: [] },
  direct: [],
  tunnel: undefined,
  pods: { made, interfaces: new Set(made.map(({ host }) => host.name)), networks: [] },
});
const ensure = (made: readonly Attachment[], from = firewall) =>
  node.within(() => from.ensure(desired(made)));
const attach = () =>
  node.within(() => {
    for (const step of allSteps({ nfnl, rtnl, removeLinks: async () => {} }).filter(
      ({ wish }) => wish !== 'bandwidth',
    ))
      step.ensure(pod);
  });
const verify = () =>
  node.within(() => {
    for (const step of allSteps({ nfnl, rtnl, removeLinks: async () => {} }).filter(
      ({ wish }) => wish !== 'bandwidth',
    ))
      step.verify(pod);
  });
const count = (): number =>
  podRules.flatMap(({ sets }) => sets).reduce((sum, set) => sum + (elements(nfnl, set)?.length ?? 0), 0);

describe('what pods have in the firewall', () => {
  it('is left alone by an agent that comes and goes', () => {
    attach();
    const all = count();
    assert.deepEqual(ensure([pod]).done, ['inet weft passage: missing', 'inet weft masquerade: missing']);
    assert.deepEqual(ensure([pod], new Firewall(nfnl)).done, []);
    assert.equal(count(), all);
    verify();
  });

  it('is not there as long as no pod needs it', () => {
    ensure([anAttachment({ addresses: pod.addresses })]);
    assert.doesNotMatch(node.run('nft', 'list', 'ruleset'), /hostports|spoof|pod-masquerade/);
  });

  it('is put back at once when all was flushed', () => {
    attach();
    ensure([pod]);
    node.run('nft', 'flush', 'ruleset');
    ensure([pod]);
    verify();
  });

  it('is put back when a part of it was lost, if it stays lost', () => {
    attach();
    ensure([pod]);
    node.run('nft', 'flush', 'map', 'inet', 'weft', 'hostports-ipv4');
    const { retryInMs } = ensure([pod]);
    assert.ok(retryInMs);
    nowMs += retryInMs;
    assert.deepEqual(ensure([pod]).done, ['add inet weft hostports-ipv4 { tcp . 8080 }']);
    verify();
  });

  it('is cleared away when its pod is gone for good', () => {
    attach();
    ensure([]);
    assert.notEqual(count(), 0);
    nowMs += 60_000;
    ensure([]);
    assert.equal(count(), 0);
  });

  it('is not taken for somebody’s who has it not on record yet', () => {
    ensure([]);
    attach();
    ensure([]);
    ensure([pod]);
    nowMs += 60_000;
    ensure([pod]);
    verify();
  });
});
