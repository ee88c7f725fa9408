/** Real packets from a pod's own namespace: small, of full size, and a connection to a port. */

import { setTimeout as delay } from 'node:timers/promises';
import { formatIp, type Ip } from '../../inet/ip.ts';
import { KernelError } from '../../kernel/errors.ts';
import * as ffi from '../../kernel/ffi.ts';
import { EchoSocket } from '../../kernel/icmp.ts';
import { afOf } from '../../kernel/netlink/rtnl.ts';
import { openNetns, within } from '../../kernel/netns.ts';
import { socketAddress } from '../../kernel/udp.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import { type Hop, passes, stops, unknown } from './hop.ts';

const SMALL_BYTES = 84;
const ECHO_MS = 1_000;
const ECHOES = 2;
const CONNECT_MS = 3_000;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;

/** `mtuBytes`: what the pod's interface takes. */
export async function probeFrom(
  pod: Attachment,
  { target, port }: { readonly target: Ip; readonly port: number | undefined },
): Promise<Hop[]> {
  const netns = openNetns(pod.netns);
  try {
    if (netns.id !== pod.netnsId) return [unknown('probe', "the pod's namespace is gone")];
    const socket = within(netns, () => EchoSocket.open(target.family));
    const hops: Hop[] = [];
    try {
      hops.push(await echo(socket, target, SMALL_BYTES));
      if (hops[0]?.state === 'ok') hops.push(await echo(socket, target, pod.mtuBytes));
    } finally {
      socket.close();
    }
    if (port === undefined) return hops;
    const fd = within(netns, () => ffi.socket(afOf(target.family), SOCK_STREAM | SOCK_NONBLOCK, 0));
    return [...hops, await connected(fd, target, port)];
  } finally {
    netns.close();
  }
}

async function echo(socket: EchoSocket, target: Ip, sizeBytes: number): Promise<Hop> {
  const name = `ping of ${sizeBytes} bytes`;
  for (let asked = 1; ; asked++) {
    const outcome = await socket.ask(target, { sizeBytes, timeoutMs: ECHO_MS });
    switch (outcome.kind) {
      case 'answered':
        return passes(name, `answered by ${formatIp(target)} in ${outcome.rttMs.toFixed(1)} ms`);
      case 'refused': {
        const mtu = outcome.mtuBytes === undefined ? '' : `: it takes ${outcome.mtuBytes} bytes`;
        return stops(name, `refused by ${formatIp(outcome.by)}${mtu}`);
      }
      case 'unsent':
        return stops(name, `the pod's kernel does not send it: ${outcome.code}`);
      case 'silent':
        if (asked === ECHOES) return stops(name, `lost: ${ECHOES} asked, none answered`);
    }
  }
}

async function connected(fd: number, target: Ip, port: number): Promise<Hop> {
  const name = `TCP port ${port}`;
  try {
    for (const untilMs = performance.now() + CONNECT_MS; performance.now() < untilMs; await delay(POLL_MS)) {
      if (ffi.connect(fd, socketAddress(target, port), `connect to port ${port}`) === 'connected')
        return passes(name, 'accepts connections');
    }
    return stops(name, `no answer within ${CONNECT_MS / 1000} s: a policy or a firewall may drop it`);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const refused = error.code === 'ECONNREFUSED';
    return stops(name, refused ? 'refused: nothing listens there' : error.code);
  } finally {
    ffi.close(fd);
  }
}

const POLL_MS = 20;
