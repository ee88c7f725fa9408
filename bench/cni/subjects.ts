/** Who is measured: weft, and Debian's reference plugins in its place, without and with masquerade. */
import { fileURLToPath } from 'node:url';
import type { Process } from './starter.ts';

export interface Subject {
  readonly name: string;
  readonly command: readonly string[];
  readonly configuration: object;
}

const reference = '/usr/lib/cni';
const dist = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));

export const weft: Subject = {
  name: 'weft',
  command: [dist('cni/weft')],
  configuration: { cniVersion: '1.0.0', name: 'weft', type: 'weft' },
};

/** The plugin in a process of its own, on a Node.js of one's choice. */
export const standalone = (node: string): Subject => ({
  ...weft,
  name: 'standalone',
  command: [node, dist('cni/weft-standalone')],
});

const bridge = (name: string, network: number, ipMasq: boolean): Subject => ({
  name,
  command: [`${reference}/bridge`],
  configuration: {
    cniVersion: '1.0.0',
    name: `bench-${network}`,
    type: 'bridge',
    bridge: `bench${network}`,
    isDefaultGateway: true,
    hairpinMode: true,
    ipMasq,
    ipam: { type: 'host-local', ranges: [[{ subnet: `10.${network}.0.0/16` }]] },
  },
});

export const plain = bridge('bridge + host-local', 8, false);
export const masquerading = bridge('bridge + host-local, ipMasq', 9, true);

/** A runtime's call for the pod in the namespace of that name. */
export function call(subject: Subject, verb: 'ADD' | 'DEL', pod: string): Process {
  return {
    command: subject.command,
    stdin: JSON.stringify(subject.configuration),
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod,
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: reference,
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    },
  };
}
