/** What a bridge has to be like follows from the pods on it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bridgeWishes } from '../../../agent/bridge/wish.ts';
import { formatInterfaceAddress, parseInterfaceAddress } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import type { Attachment } from '../../../plugin/attach/attachment.ts';

/** Pods made one after another, each with these `ADDRESS/LENGTH via GATEWAY`. */
const pods = (...addresses: string[][]): Attachment[] =>
  addresses.map(
    (each, i): Attachment => ({
      network: 'weft',
      containerId: `pod-${i}`,
      ifname: 'eth0',
      phase: 'complete',
      bootId: 'boot',
      since: new Date(i * 1000).toISOString(),
      netns: '',
      netnsId: '',
      bridge: 'cni0',
      host: { name: `veth${i}`, index: i, mac: '' },
      container: { index: i, mac: '' },
      mtuBytes: 1450,
      hairpin: false,
      isolated: false,
      addresses: each.map((text) => {
        const [address = '', gateway = ''] = text.split(' via ');
        const parsed = parseInterfaceAddress(address);
        assert.ok(parsed);
        return { ...parsed, gateway: ip(gateway) };
      }),
      hostLocalDir: '',
      masquerade: false,
      spoofCheck: { mac: false, address: false },
      hostPorts: [],
      bandwidth: { ingress: undefined, egress: undefined },
      pod: { name: undefined, namespace: undefined, uid: undefined },
    }),
  );

describe('the addresses of a bridge', () => {
  const cases: { title: string; pods: Attachment[]; addresses: string[] }[] = [
    {
      title: 'are the gateway of pods of one subnet, once',
      pods: pods(['10.7.0.2/24 via 10.7.0.1'], ['10.7.0.3/24 via 10.7.0.1']),
      addresses: ['10.7.0.1/24'],
    },
    {
      title: 'are the gateways of every address that a pod has',
      pods: pods(['10.7.0.2/24 via 10.7.0.1', '10.8.0.2/24 via 10.8.0.1', 'fd00::2/64 via fd00::1']),
      addresses: ['10.7.0.1/24', '10.8.0.1/24', 'fd00::1/64'],
    },
    {
      title: 'are those of the newest pod where an older one had others: they were forced upon the bridge',
      pods: pods(['10.7.0.2/24 via 10.7.0.1'], ['10.8.0.2/24 via 10.8.0.1']),
      addresses: ['10.8.0.1/24'],
    },
    {
      title: 'coexist where they are of different IPv6 subnets',
      pods: pods(['fd00:1::2/64 via fd00:1::1'], ['fd00:2::2/64 via fd00:2::1']),
      addresses: ['fd00:2::1/64', 'fd00:1::1/64'],
    },
  ];
  for (const { title, pods, addresses } of cases) {
    it(title, () => {
      const [wish] = bridgeWishes(pods, () => true);
      assert.deepEqual(wish?.addresses.map(formatInterfaceAddress), addresses);
    });
  }
});
