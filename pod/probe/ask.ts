/** Runs the request of a probe or of a hook against a container. */

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { deadlineSignal } from '../../clock/after.ts';
import { sleep, systemClock } from '../../clock/clock.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Docker } from '../docker/daemon.ts';
import { execInContainer } from '../docker/exec.ts';
import { PodError } from '../errors.ts';
import type { Handler, HttpGet } from '../manifest/pod.ts';

export interface Asked {
  readonly docker: Docker;
  readonly id: string;
  /** Of the pod, without its length. */
  readonly address: string;
  readonly handler: Handler;
  /** Undefined: as long as it takes. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Resolves if the request succeeds.
 *
 * @throws PodError `hook` if it fails or times out; DockerUnreachable; the signal's reason
 */
export async function ask(asked: Asked): Promise<void> {
  const { handler, signal } = asked;
  switch (handler.kind) {
    case 'exec':
      return await askByCommand(asked, handler.command);
    case 'http':
      return await within(asked, (over) => askByHttp(handler, asked.address, over));
    case 'tcp':
      return await within(asked, (over) => askByTcp(handler.host ?? asked.address, handler.port, over));
    case 'sleep':
      await sleep(systemClock, handler.seconds * 1000, signal);
  }
}

async function askByCommand(asked: Asked, command: readonly string[]): Promise<void> {
  const { status, output } = await execInContainer(asked.docker, { ...asked, command });
  if (status === 0) return;
  throw new PodError(
    'hook',
    `${command.join(' ')}: status ${status}${output ? `: ${reasonOf(output)}` : ''}`,
  );
}

async function within(asked: Asked, work: (over: AbortSignal) => Promise<void>): Promise<void> {
  const { signal, timeoutMs } = asked;
  const over = AbortSignal.any([signal, ...(timeoutMs === undefined ? [] : [deadlineSignal(timeoutMs)])]);
  try {
    await work(over);
  } catch (error) {
    signal.throwIfAborted();
    if (over.aborted) throw new PodError('hook', `no answer within ${(timeoutMs ?? 0) / 1000} s`);
    throw error instanceof PodError ? error : new PodError('hook', reasonOf(error), { cause: error });
  }
}

function askByTcp(host: string, port: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal: over });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

const mostRedirects = 10;

/** A redirect is followed on the same host; one to another host counts as success (kubelet's `pkg/probe/http`). */
async function askByHttp(handler: HttpGet, address: string, over: AbortSignal): Promise<void> {
  const host = handler.host ?? address;
  const literal = host.includes(':') ? `[${host}]` : host;
  let url = new URL(`${handler.scheme.toLowerCase()}://${literal}:${handler.port}${handler.path}`);
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const { status, location } = await get(url, handler, over);
    if (status < 200 || status >= 400) throw new PodError('hook', `${url.href}: HTTP status ${status}`);
    if (status < 300 || location === undefined) return;
    const next = new URL(location, url);
    if (next.hostname !== url.hostname) return;
    url = next;
  }
  throw new PodError('hook', `${url.href}: more than ${mostRedirects} redirects`);
}

function get(
  url: URL,
  { headers }: HttpGet,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined }> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const given = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      signal,
      // As the kubelet: certificates are not verified, only the response counts.
      rejectUnauthorized: false,
      headers: { 'user-agent': 'kube-probe/weft', accept: '*/*', connection: 'close', ...given },
      agent: false,
    });
    asked.once('response', (response) => {
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
      response.destroy();
    });
    asked.once('error', reject);
    asked.end();
  });
}
