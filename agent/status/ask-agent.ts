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

async function ask<T>(
  listen: Listen | undefined,
  path: string,
  parse: (value: unknown) => T,
): Promise<Answer<T>> {
  if (!listen)
    return { kind: 'unreachable', reason: 'listen is off in weft.yaml, so the agent cannot be asked' };
  const place = formatListen(listen);
  let text: string;
  try {
    text = await fetchText({ host: formatIp(listen.address), port: listen.port, path });
  } catch (error) {
    const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
    return {
      kind: 'unreachable',
      reason: refused
        ? `weftd does not run: nothing listens on ${place} ("systemctl status weftd")`
        : `weftd does not answer on ${place}: ${reasonOf(error)}`,
    };
  }
  try {
    return { kind: 'running', value: parse(JSON.parse(text)) };
  } catch {
    return { kind: 'unreachable', reason: `what answers on ${place} is not weftd of this version` };
  }
}

function fetchText(at: { host: string; port: number; path: string }): Promise<string> {
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
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString());
        else reject(new Error(`HTTP status ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
    request.on('close', () => clearTimeout(timer));
    request.on('error', reject);
  });
}
