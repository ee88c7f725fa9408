/** Which host ports of pods hide a socket of the host. Pure. */
import { type Ip, sameIp } from '../../inet/ip.ts';

export interface MappedPort {
  readonly hostPort: number;
  readonly protocol: string;
  readonly hostIp: Ip | undefined;
  readonly containerId: string;
}

export interface Listener {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Undefined: on all addresses. */
  readonly address: Ip | undefined;
  /** `sshd (process 4711)` */
  readonly program: string | undefined;
}

export function portConflicts(
  pods: readonly MappedPort[],
  listeners: readonly Listener[],
): { readonly pod: MappedPort; readonly listener: Listener }[] {
  return pods.flatMap((pod) => {
    const listener = listeners.find((each) => meets(pod, each));
    return listener ? [{ pod, listener }] : [];
  });
}

const meets = (pod: MappedPort, { protocol, port, address }: Listener): boolean =>
  protocol === pod.protocol &&
  port === pod.hostPort &&
  (!address || !pod.hostIp || sameIp(address, pod.hostIp));
