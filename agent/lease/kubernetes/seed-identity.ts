/** Who a node with a new disk is: its peers have the VTEP MAC that its Node announces, so it keeps that one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Family } from '../../../inet/ip.ts';
import type { ApiClient } from '../../../kubernetes/client.ts';
import { ApiError } from '../../../kubernetes/errors.ts';
import { nodes } from '../../../kubernetes/resource.ts';
import { Backoff } from '../../../retry/backoff.ts';
import { announcedMacs } from './annotations.ts';
import { digestNode } from './node.ts';

/** Waits for the API server; empty where there is no such Node, or it has announced nothing. */
export async function macsOfNode(given: {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly annotationPrefix: string;
  /** Called with the reason while the API server is waited for. */
  readonly onWaiting: (reason: string) => void;
  readonly signal: AbortSignal;
}): Promise<Partial<Record<Family, string>>> {
  const { client, nodeName, annotationPrefix, onWaiting, signal } = given;
  const backoff = new Backoff({ firstMs: 500, longestMs: 15_000, random: Math.random });
  for (;;) {
    try {
      const node = await client.request({ verb: 'get', place: { ...nodes, name: nodeName }, signal });
      return announcedMacs(digestNode(node, undefined, annotationPrefix).annotations);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === 'not-found') return {};
      onWaiting(error.message);
      await sleep(Math.max(backoff.next(), error.retryAfterMs ?? 0), undefined, { signal });
    }
  }
}
