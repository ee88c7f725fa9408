/** Shaping with real packets: what passes in a second is what was asked for, both ways. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { throughput } from '../../bench/throughput.ts';
import { links } from '../../kernel/link.ts';
import { waitingRemover } from '../../kernel/link-removal.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { bandwidthStep } from '../../plugin/attach/bandwidth/step.ts';
import { anAttachment } from './traffic/attachment.ts';
import { Ground, type Place } from './traffic/ground.ts';

const ground = new Ground('bw');
let node: Place;
let pod: Place;
let rtnl: Rtnl;

before(() => {
  node = ground.place(
    'node',
    'link add cni0 type bridge',
    'link set cni0 up',
    'address add 10.244.1.1/24 dev cni0',
  );
  pod = ground.place('pod');
  ground.join(node, 'veth1', pod, 'eth0');
  node.ip('link set veth1 master cni0');
  pod.ip('address add 10.244.1.2/24 dev eth0');
  rtnl = node.within(openRtnl);
});
after(() => {
  rtnl?.close();
  ground.close();
});

/** containerd's burst, whatever the rate. */
const rate = (bitsPerSecond: number) => ({ bitsPerSecond, burstBits: 0xffff_ffff });
const shaped = (ingress: number | undefined, egress: number | undefined): Attachment =>
  anAttachment({
    bandwidth: {
      ingress: ingress === undefined ? undefined : rate(ingress),
      egress: egress === undefined ? undefined : rate(egress),
    },
  });
const step = () => bandwidthStep({ rtnl, removeLinks: (indexes) => waitingRemover(rtnl).remove(indexes) });
/** What opens sockets does so before its first await, in the node's namespace. */
const inNode = async (begin: () => void | Promise<void>): Promise<void> => {
  const running: (void | Promise<void>)[] = [];
  node.within(() => {
    running.push(begin());
  });
  await running[0];
};
const ensure = (attachment: Attachment) => inNode(() => step().ensure(attachment));
const teardown = (attachment: Attachment) => inNode(() => step().teardown(attachment));
const verify = (attachment: Attachment) => step().verify(attachment);

const at = ({ name }: Place): string[] => ['nsenter', `--net=/run/netns/${name}`];
const measured = (direction: 'ingress' | 'egress', bitsPerSecond: number): Promise<number> =>
  throughput({
    server: at(pod),
    client: at(node),
    address: '10.244.1.2',
    reverse: direction === 'egress',
    bitsPerSecond,
    seconds: 2,
  });

/** A busy machine may fail to keep a queue full for two seconds; it does not fail thrice. */
const ATTEMPTS = 3;

describe('a rate', () => {
  for (const bitsPerSecond of [1e6, 1e7, 1e8, 1e9]) {
    for (const direction of ['ingress', 'egress'] as const) {
      it(`of ${bitsPerSecond} bits/s is kept within 5 %, ${direction}`, async () => {
        const attachment = shaped(
          direction === 'ingress' ? bitsPerSecond : undefined,
          direction === 'egress' ? bitsPerSecond : undefined,
        );
        await ensure(attachment);
        const shares: number[] = [];
        while (shares.length < ATTEMPTS && !shares.some(isKept)) {
          shares.push((await measured(direction, bitsPerSecond)) / bitsPerSecond);
        }
        await teardown(attachment);
        node.run('tc', 'qdisc', 'del', 'dev', 'veth1', direction === 'ingress' ? 'root' : 'clsact');
        assert.ok(shares.some(isKept), `measured ${shares.join(', ')} of the rate`);
      });
    }
  }
});

const isKept = (share: number): boolean => share > 0.95 && share < 1.05;

describe('shaping', () => {
  const both = shaped(1e7, 2e7);

  it('can be ensured any number of times, with other rates as well, and is verified', async () => {
    await ensure(shaped(1e6, 1e6));
    await ensure(both);
    await ensure(both);
    verify(both);
    assert.throws(() => verify(shaped(1e7, 1e7)), { reason: 'check-failed', message: /ifb1 is not limited/ });
    assert.equal(pod.run('ping', '-c1', '-W10', '10.244.1.1').includes('1 received'), true);
    await teardown(both);
    await teardown(both);
    assert.deepEqual(
      links(rtnl).filter(({ kind }) => kind === 'ifb'),
      [],
    );
  });

  const damages: readonly (readonly [string, readonly string[]])[] = [
    ['the bucket', ['tc', 'qdisc', 'del', 'dev', 'veth1', 'root']],
    ['the redirection', ['tc', 'filter', 'del', 'dev', 'veth1', 'ingress']],
    ['the device', ['ip', 'link', 'del', 'ifb1']],
  ];
  for (const [what, [command = '', ...args]] of damages) {
    it(`is found amiss without ${what}, and made whole again`, async () => {
      await ensure(both);
      node.run(command, ...args);
      assert.throws(() => verify(both), { reason: 'check-failed' });
      await ensure(both);
      verify(both);
    });
  }

  it('of pods that are gone is swept, of this network only', async () => {
    await ensure(both);
    await inNode(() => step().sweep?.('weft2', () => []));
    verify(both);
    await inNode(() => step().sweep?.('weft', () => [both]));
    verify(both);
    await inNode(() => step().sweep?.('weft', () => []));
    assert.deepEqual(
      links(rtnl).filter(({ kind }) => kind === 'ifb'),
      [],
    );
  });
});
