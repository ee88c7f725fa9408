/** Nodes as a cluster of some age has them: thirty images, five conditions, flannel's annotations. */
import type { ApiClient } from '../../kubernetes/client.ts';
import type { JsonObject } from '../../kubernetes/json.ts';
import { nodes } from '../../kubernetes/resource.ts';

const atOnce = 16;
const images = 30;
const conditionTypes = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'] as const;

export const nodeName = (n: number): string => `bench-${n}`;

/** 10.128.0.0/9: the subnets of up to 5000 nodes, and beside the underlay's own network. */
export const subnetOf = (n: number): string => `10.${128 + (n >> 8)}.${n & 255}.0/24`;

const octet = (value: number): string => value.toString(16).padStart(2, '0');

/** `change` makes another public IP. */
export const annotationsOf = (n: number, change = 0) => ({
  'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
  'flannel.alpha.coreos.com/backend-type': 'vxlan',
  'flannel.alpha.coreos.com/backend-data': JSON.stringify({
    VNI: 1,
    VtepMAC: `0e:00:00:${octet(change)}:${octet(n >> 8)}:${octet(n & 255)}`,
  }),
  'flannel.alpha.coreos.com/public-ip': `172.${16 + change}.${n >> 8}.${n & 255}`,
});

function statusOf(n: number, time: string): object {
  return {
    conditions: conditionTypes.map((type) => ({
      type,
      status: type === 'Ready' ? 'True' : 'False',
      reason: `Kubelet${type}`,
      message: `kubelet reports ${type} of this node`,
      lastHeartbeatTime: time,
      lastTransitionTime: '2026-11-01T00:00:00Z',
    })),
    addresses: [{ type: 'InternalIP', address: `172.16.${n >> 8}.${n & 255}` }],
    images: Array.from({ length: images }, (_, image) => ({
      names: [
        `registry.example.org/team-${image}/application-${image}@sha256:${String(n * 100 + image).padStart(64, '0')}`,
        `registry.example.org/team-${image}/application-${image}:v1.${image}.${n}`,
      ],
      sizeBytes: 10_000_000 + image,
    })),
  };
}

async function each(numbers: readonly number[], run: (n: number) => Promise<unknown>): Promise<void> {
  const left = [...numbers];
  const work = async (): Promise<void> => {
    for (let n = left.pop(); n !== undefined; n = left.pop()) await run(n);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

export class MadeNodes {
  readonly #client: ApiClient;
  readonly #signal: AbortSignal;

  constructor(client: ApiClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  async create(numbers: readonly number[], annotated = true): Promise<void> {
    await each(numbers, async (n) => {
      const object = {
        metadata: { name: nodeName(n), annotations: annotated ? annotationsOf(n) : {} },
        spec: { podCIDR: subnetOf(n), podCIDRs: [subnetOf(n)] },
        status: statusOf(n, new Date().toISOString().replace(/\.\d+Z/, 'Z')),
      };
      const body = { type: 'application/json', object };
      await this.#client.request({ verb: 'create', place: nodes, body, signal: this.#signal });
    });
  }

  remove(n: number): Promise<JsonObject> {
    return this.#client.request({
      verb: 'delete',
      place: { ...nodes, name: nodeName(n) },
      signal: this.#signal,
    });
  }

  /** What every kubelet does every five minutes. */
  async reportStatus(numbers: readonly number[]): Promise<void> {
    const time = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    await each(numbers, (n) => this.#patch(n, 'status', { status: statusOf(n, time) }));
  }

  announce(n: number, change: number): Promise<JsonObject> {
    return this.#patch(n, 'status', { metadata: { annotations: annotationsOf(n, change) } });
  }

  #patch(n: number, subresource: string, object: object): Promise<JsonObject> {
    const place = { ...nodes, name: nodeName(n), subresource };
    const body = { type: 'application/strategic-merge-patch+json', object };
    return this.#client.request({ verb: 'patch', place, body, signal: this.#signal });
  }
}
