/** Host ports of pods that a service of the host listens on as well: it gets no packet any more. */

import { type Check, type Finding, orOk } from '../finding.ts';
import { listeners } from '../listeners.ts';
import { portConflicts } from '../port-conflicts.ts';

export const hostPorts: Check = {
  name: 'host-ports',
  title: 'Host ports',
  look: ({ pods }) => {
    const mapped = pods.flatMap(({ hostPorts, containerId }) =>
      hostPorts.map(({ hostPort, protocol, hostIp }) => ({ hostPort, protocol, hostIp, containerId })),
    );
    const findings = portConflicts(mapped, listeners()).map(
      ({ pod, listener }): Finding => ({
        severity: 'warning',
        subject: `${pod.protocol} ${pod.hostPort}`,
        found: `the pod ${pod.containerId.slice(0, 12)} hides ${listener.program ?? 'a service of the host'}`,
        wanted: 'one of the two on another port',
        remedy: `change hostPort of the pod, or the port of the service (ss -lntup sport = :${pod.hostPort})`,
      }),
    );
    return orOk(findings, `${mapped.length} in use, no service of the host has one of them`);
  },
};
