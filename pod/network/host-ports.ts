/** Whether the host ports of a pod are free on this host: of other processes, and of other pods. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { PodError } from '../errors.ts';
import { keyOf, lastingOf, type Pod, type Port, titleOf } from '../manifest/pod.ts';

/** @throws PodError `host-port`, naming who has it */
export async function refuseTakenPorts(pod: Pod, others: readonly Pod[]): Promise<void> {
  const mine = hostPortsOf(pod);
  for (const other of others) {
    if (keyOf(other) === keyOf(pod)) continue;
    const clash = mine.find((port) => hostPortsOf(other).some((its) => overlap(port, its)));
    if (clash) throw taken(pod, clash, `pod ${titleOf(other)}`);
  }
  for (const port of mine) {
    if (await isListenedOn(port)) {
      const flag = port.protocol === 'UDP' ? 'u' : 't';
      throw taken(pod, port, `a process of this host (ss -ln${flag}p 'sport = :${port.hostPort}' shows it)`);
    }
  }
}

const taken = (pod: Pod, { hostPort, protocol }: Port, how: string): PodError =>
  new PodError(
    'host-port',
    `pod ${titleOf(pod)}: host port ${hostPort}/${protocol} is in use by ${how}; choose another`,
  );

const hostPortsOf = (pod: Pod): Port[] =>
  lastingOf(pod).flatMap(({ ports }) => ports.filter(({ hostPort }) => hostPort !== undefined));

const isAny = (address: string | undefined): boolean =>
  address === undefined || address === '0.0.0.0' || address === '::';

const overlap = (a: Port, b: Port): boolean =>
  a.hostPort === b.hostPort &&
  a.protocol === b.protocol &&
  (a.hostIP === b.hostIP || isAny(a.hostIP) || isAny(b.hostIP));

/** Tests a port by binding it for a moment. SCTP ports cannot be tested in this way. */
async function isListenedOn({ hostPort = 0, hostIP, protocol }: Port): Promise<boolean> {
  if (protocol === 'SCTP') return false;
  const hosts = hostIP === undefined ? ['0.0.0.0', '::'] : [hostIP];
  for (const host of hosts) {
    const code = await (protocol === 'UDP' ? bindUdp(host, hostPort) : bindTcp(host, hostPort));
    if (code === 'EADDRINUSE') return true;
  }
  return false;
}

function bindTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ host, port, ipv6Only: host.includes(':') }, () => server.close(() => resolve(undefined)));
  });
}

function bindUdp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const isIpv6 = host.includes(':');
    const socket = createSocket({ type: isIpv6 ? 'udp6' : 'udp4', ipv6Only: isIpv6 });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code);
    });
    socket.bind(port, host, () => socket.close(() => resolve(undefined)));
  });
}
