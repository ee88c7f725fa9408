/** Supported fields that work differently than in Kubernetes. */
import type { Fault } from '../../problem/problem.ts';
import type { ReadPod } from './schema.ts';

export function warningsOf({ spec }: ReadPod): Fault[] {
  const warnings: Fault[] = [];
  if (spec.dnsPolicy?.startsWith('ClusterFirst')) {
    warnings.push({
      path: ['spec', 'dnsPolicy'],
      text: `there is no cluster DNS without Kubernetes: the pod uses this host's name servers, as with Default`,
    });
  }
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    if (volume.emptyDir?.sizeLimit === undefined || volume.emptyDir.medium === 'Memory') continue;
    warnings.push({
      path: ['spec', 'volumes', i, 'emptyDir', 'sizeLimit'],
      text: 'is not enforced on disk; it is with medium: Memory',
      inName: true,
    });
  }
  return warnings;
}
