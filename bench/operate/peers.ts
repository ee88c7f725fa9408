/** Peers that exist in the store alone: an agent programs them, and nobody answers for them. */

import { encodeValue } from '../../agent/lease/flannel/value.ts';
import { FileStore } from '../../agent/lease/store/file/file-store.ts';
import { systemClock } from '../../clock/clock.ts';
import { ip } from '../../inet/ip.ts';
import { readBootId } from '../../kernel/boot.ts';

/** They have subnets of this network, from 10.129.0.0/24 on. */
export const network = '10.128.0.0/9';

const never = new AbortController().signal;
const PER_COMMIT = 100;

/** Writes records `from` to `to` (not included) into a folder of the store. */
export async function putPeers(path: string, from: number, to: number): Promise<void> {
  const store = new FileStore({ path, clock: systemClock, boot: readBootId() });
  try {
    const { session } = await store.grant(86_400, never);
    for (let first = from; first < to; first += PER_COMMIT) {
      const numbers = Array.from({ length: Math.min(PER_COMMIT, to - first) }, (_, i) => first + i);
      const write = numbers.map((n) => ({
        type: 'put' as const,
        key: `subnets/10.${129 + (n >> 8)}.${n & 255}.0-24`,
        value: encodeValue({
          publicIps: [ip(`192.168.${n >> 8}.${n & 255}`)],
          backend: { type: 'vxlan', vni: 1, vtepMac: `0e:00:00:00:${hex(n >> 8)}:${hex(n & 255)}` },
        }),
        session,
      }));
      await store.commit({ compare: [], write }, never);
    }
  } finally {
    store.close();
  }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
