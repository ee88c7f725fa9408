/** The annotations by which Kubernetes limits a pod's bandwidth (`pkg/util/bandwidth/utils.go`). */
import type { Bandwidth } from './pod.ts';
import { parseQuantity } from './quantity.ts';

export const bandwidthKeys = {
  ingress: 'kubernetes.io/ingress-bandwidth',
  egress: 'kubernetes.io/egress-bandwidth',
} as const;

const least = 1e3;
const most = 1e15;

/** Bits per second; undefined if the text says none. */
export function readBandwidth(text: string): number | undefined {
  const bits = parseQuantity(text);
  return bits !== undefined && bits >= least && bits <= most ? bits : undefined;
}

export const bandwidthOf = (annotations: Readonly<Record<string, string>>): Bandwidth => ({
  ingressBits: readBandwidth(annotations[bandwidthKeys.ingress] ?? ''),
  egressBits: readBandwidth(annotations[bandwidthKeys.egress] ?? ''),
});
