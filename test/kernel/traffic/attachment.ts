/** An attachment's record as ADD writes it, for tests of what follows from one. */
import { ip } from '../../../inet/ip.ts';
import type { Attachment } from '../../../plugin/attach/attachment.ts';

export const anAttachment = (fields: Partial<Attachment>): Attachment => ({
  network: 'weft',
  containerId: 'c1',
  ifname: 'eth0',
  phase: 'made',
  bootId: 'boot',
  since: '2026-01-01T00:00:00.000Z',
  netns: '/run/netns/c1',
  netnsId: '4:1',
  bridge: 'cni0',
  host: { name: 'veth1', index: 100, mac: '02:00:00:00:01:01' },
  container: { index: 101, mac: '02:00:00:00:02:01' },
  mtuBytes: 1500,
  hairpin: true,
  isolated: false,
  addresses: [],
  hostLocalDir: '',
  masquerade: false,
  spoofCheck: { mac: false, address: false },
  hostPorts: [],
  bandwidth: { ingress: undefined, egress: undefined },
  pod: {},
  ...fields,
});

/** `10.244.1.2` with the gateway that its subnet's bridge has. */
export const podAddress = (address: string, gateway: string): Attachment['addresses'][number] => ({
  address: ip(address),
  length: address.includes(':') ? 64 : 24,
  gateway: ip(gateway),
});
