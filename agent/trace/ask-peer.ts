/** Asks a peer's agent for its half of the way, through the store. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../../problem/reason.ts';
import type { Config } from '../config/config.ts';
import { openStore } from '../lease/store/open-store.ts';
import { absent, type LeaseStore } from '../lease/store/store.ts';
import { ClusterView } from '../lease/view/view.ts';
import type { Ends } from './half.ts';
import type { Hop } from './hop.ts';
import { answersFolder, decodeAnswer, encodeQuestion, questionsFolder } from './records.ts';

export type PeerAnswer =
  | { readonly kind: 'answered'; readonly hops: readonly Hop[] }
  /** Why its half is not known, and what to do. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** Question and answer expire after this, also if the asker has ended. */
const TTL_SECONDS = 30;
const STORE_MS = 4_000;
const ANSWER_MS = 6_000;
const PERIOD_MS = 100;

/** `key`: of the peer's lease; `name`: as people call it. */
export async function askPeer(
  { store: config }: Config,
  asked: { readonly key: string; readonly name: string; readonly ends: Ends; readonly signal: AbortSignal },
): Promise<PeerAnswer> {
  if (config.type === 'kubernetes') {
    const reason = `with store kubernetes peers are not asked: run "weftctl doctor" on ${asked.name} for its half`;
    return { kind: 'unknown', reason };
  }
  let store: LeaseStore | undefined;
  try {
    store = await openStore(config);
    return await ask(store, asked);
  } catch (error) {
    const reason = `the store does not answer (${reasonOf(error)}), so this is this node's half only`;
    return { kind: 'unknown', reason };
  } finally {
    store?.close();
  }
}

async function ask(store: LeaseStore, asked: Parameters<typeof askPeer>[1]): Promise<PeerAnswer> {
  const { key, name, ends } = asked;
  const signal = AbortSignal.any([asked.signal, AbortSignal.timeout(STORE_MS)]);
  const view = new ClusterView();
  view.apply({ type: 'list', ...(await store.list(signal)) });
  const record = view.subnet(key);
  const owner = record && view.ownerOf(record);
  if (!owner)
    return { kind: 'unknown', reason: `${name} is a node of flannel, or gone: it answers no questions` };
  const { session } = await store.grant(TTL_SECONDS, signal);
  try {
    const token = randomBytes(12).toString('hex');
    const question = questionsFolder + token;
    const value = encodeQuestion({ node: owner.id, ...ends });
    const put = { type: 'put', key: question, value, session } as const;
    await store.commit({ compare: [{ key: question, version: absent }], write: [put] }, signal);
    const hops = await answerOf(store, answersFolder + token, asked.signal);
    if (hops) return { kind: 'answered', hops };
    const why = 'its weftd does not run, is older, or cannot write to the store';
    const reason = `${name} has not answered within ${ANSWER_MS / 1000} s: ${why}`;
    return { kind: 'unknown', reason };
  } finally {
    // Else they go when the session ends.
    await store.revoke(session, AbortSignal.timeout(STORE_MS)).catch(() => undefined);
  }
}

async function answerOf(
  store: LeaseStore,
  key: string,
  life: AbortSignal,
): Promise<readonly Hop[] | undefined> {
  const signal = AbortSignal.any([life, AbortSignal.timeout(ANSWER_MS + STORE_MS)]);
  for (const untilMs = performance.now() + ANSWER_MS; performance.now() < untilMs; await delay(PERIOD_MS)) {
    const [record] = await store.read([key], signal);
    if (record) return decodeAnswer(record.value) ?? [];
  }
  return undefined;
}
