/** Asks the agent of this host. An agent that does not answer is a result, not an error. */
import { get } from 'node:http';
import { formatIp } from '../../inet/ip.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Listen } from '../config/config.ts';
import { formatListen } from '../config/effective.ts';
import { type AgentEvents, eventsShape } from './events.ts';
import { type LiveStatus, liveShape } from './live.ts';

export type Answer<T> =
  | { readonly kind: 'running'; readonly value: T }
  /** `reason`: why, with the remedy. */
  | { readonly kind: 'unreachable'; readonly reason: string };

const ANSWER_MS = 2_000;
/** Of 5000 peers in two families and two paths. */
const MOST_BYTES = 16 * 1024 * 1024;

/** What `/status` tells. */
export const askStatus = (listen: Listen | undefined): Promise<Answer<LiveStatus>> =>
  ask(listen, '/status', (value) => liveShape.parse(value));

/** The newest events after a sequence number. */
export const askEvents = (listen: Listen | undefined, after: number): Promise<Answer<AgentEvents>> =>
  ask(listen, `/events?after=${after}`, (value) => eventsShape.parse(value));

/** A page as text, with its HTTP status. */
export async function askPage(
  listen: Listen | undefined,
  path: string,
): Promise<Answer<{ readonly status: number; readonly text: string }>> {
  return askFor(listen, path);
}

async function ask<T>(
  listen: Listen | undefined,
  path: string,
  parse: (value: unknown) => T,
): Promise<Answer<T>> {
  const answer = await askFor(listen, path);
  if (answer.kind === 'unreachable') return answer;
  const { status, text } = answer.value;
  const place = listen ? formatListen(listen) : '';
  if (status !== 200)
    return { kind: 'unreachable', reason: `weftd does not answer on ${place}: HTTP status ${status}` };
  try {
    return { kind: 'running', value: parse(JSON.parse(text)) };
  } catch {
    return { kind: 'unreachable', reason: `what answers on ${place} is not weftd of this version` };
  }
}

async function askFor(
  listen: Listen | undefined,
  path: string,
): Promise<Answer<{ readonly status: number; readonly text: string }>> {
  if (!listen)
    return { kind: 'unreachable', reason: 'listen is off in weft.yaml, so the agent cannot be asked' };
  const place = formatListen(listen);
  try {
    const value = await fetchText({ host: formatIp(listen.address), port: listen.port, path });
    return { kind: 'running', value };
  } catch (error) {
    const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
    return {
      kind: 'unreachable',
      reason: refused
        ? `weftd does not run: nothing listens on ${place} ("systemctl status weftd")`
        : `weftd does not answer on ${place}: ${reasonOf(error)}`,
    };
  }
}

function fetchText(at: {
  host: string;
  port: number;
  path: string;
}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ ...at, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MOST_BYTES) request.destroy(new Error(`the answer is longer than ${MOST_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
      response.on('error', reject);
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
    request.on('close', () => clearTimeout(timer));
    request.on('error', reject);
  });
}
