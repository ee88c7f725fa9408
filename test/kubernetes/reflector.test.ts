/** The reflector against a real API server: pages, resumption, compaction, and no object lost by a fault. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { ApiClient } from '../../kubernetes/client.ts';
import type { ApiError } from '../../kubernetes/errors.ts';
import { type JsonObject, objectIn } from '../../kubernetes/json.ts';
import { type Change, Reflector, type ReflectorOptions } from '../../kubernetes/reflector.ts';
import { nodes, type Place } from '../../kubernetes/resource.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';

let server: ApiServer;
let proxy: FaultProxy;
const cleanups: (() => void | Promise<void>)[] = [];
const kept = { after: (done: () => void | Promise<void>) => void cleanups.push(done) };
const started: { stop: AbortController; done: Promise<void> }[] = [];

before(async () => {
  server = await startApiServer(kept);
  proxy = await startFaultProxy(kept, server);
});
afterEach(async () => {
  proxy.mend();
  for (const { stop } of started) stop.abort();
  await Promise.all(started.map(({ done }) => done));
  started.length = 0;
});
after(async () => {
  for (const done of cleanups.reverse()) await done();
});

interface Seen {
  readonly labels: string;
  readonly whole: boolean;
}

interface Followed {
  readonly reflector: Reflector<Seen>;
  readonly changes: Change<Seen>[];
  readonly troubles: (ApiError | undefined)[];
  /** Resolves once the condition holds after a change or a trouble. */
  until(condition: () => boolean): Promise<void>;
}

const configMaps = { group: '', version: 'v1', plural: 'configmaps' };

/** Reflects the ConfigMaps of a namespace, or the Nodes, through the proxy. */
function follow(place: Place, options: Partial<ReflectorOptions<Seen>> = {}): Followed {
  const stop = new AbortController();
  const changes: Change<Seen>[] = [];
  const troubles: (ApiError | undefined)[] = [];
  const waiting = new Set<() => void>();
  const ring = (): void => {
    for (const one of waiting) one();
  };
  const reflector = new Reflector<Seen>({
    client: server.client({ port: proxy.port }),
    place,
    pageSize: 2,
    digest: (object) => ({
      labels: JSON.stringify(objectIn(objectIn(object, 'metadata'), 'labels') ?? {}),
      whole: object.data !== undefined || object.spec !== undefined,
    }),
    same: (one, other) => one.labels === other.labels,
    onChanges: (some) => {
      changes.push(...some);
      ring();
    },
    onTrouble: (error) => {
      troubles.push(error);
      ring();
    },
    timing: { firstPauseMs: 20, longestPauseMs: 100, leastWatchMs: 100 },
    signal: stop.signal,
    ...options,
  });
  started.push({ stop, done: reflector.done });
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { reflector, changes, troubles, until };
}

const request = (call: Omit<Parameters<ApiClient['request']>[0], 'signal'>): Promise<JsonObject> =>
  server.admin.request({ ...call, signal: AbortSignal.timeout(10_000) });

let namespaces = 0;
/** A namespace of its own, with that many ConfigMaps. */
async function namespaceWith(count: number): Promise<string> {
  const namespace = `test-${namespaces++}`;
  const place = { group: '', version: 'v1', plural: 'namespaces' };
  await request({ verb: 'create', place, body: { type: json, object: { metadata: { name: namespace } } } });
  for (let n = 0; n < count; n++) await create(namespace, `map-${n}`);
  return namespace;
}

const json = 'application/json';
const create = (namespace: string, name: string, labels = {}): Promise<JsonObject> =>
  request({
    verb: 'create',
    place: { ...configMaps, namespace },
    body: { type: json, object: { metadata: { name, labels }, data: { a: 'b' } } },
  });
const remove = (namespace: string, name: string): Promise<JsonObject> =>
  request({ verb: 'delete', place: { ...configMaps, namespace, name } });
const label = (namespace: string, name: string, value: string): Promise<JsonObject> =>
  request({
    verb: 'patch',
    place: { ...configMaps, namespace, name },
    body: { type: 'application/merge-patch+json', object: { metadata: { labels: { value } } } },
  });

/** How often was listed and watched, of the requests that came in since `from`. */
function counted(from = 0): { lists: number; watches: number } {
  const recent = proxy.requests.slice(from).filter(({ method }) => method === 'GET');
  const watches = recent.filter(({ url }) => url.includes('watch=true')).length;
  return { lists: recent.length - watches, watches };
}

test('list of five in pages of two, then a watch: every object, then every change, in order', async () => {
  const namespace = await namespaceWith(5);
  const from = proxy.requests.length;
  const { reflector, changes, until } = follow({ ...configMaps, namespace });
  await until(() => reflector.complete);
  assert.equal(reflector.objects.size, 5);
  assert.equal(counted(from).lists, 3);
  changes.length = 0;
  await label(namespace, 'map-0', 'one');
  await remove(namespace, 'map-1');
  await create(namespace, 'map-5');
  await until(() => changes.length === 3);
  const kinds = changes.map(({ key, before, after }) => [key, before !== undefined, after !== undefined]);
  assert.deepEqual(kinds, [
    [`${namespace}/map-0`, true, true],
    [`${namespace}/map-1`, true, false],
    [`${namespace}/map-5`, false, true],
  ]);
});

test('metadata watch: objects come without data, and a change that means the same is none', async () => {
  const namespace = await namespaceWith(1);
  const { reflector, changes, until } = follow({ ...configMaps, namespace }, { watch: 'metadata' });
  await until(() => reflector.complete);
  assert.equal(reflector.objects.get(`${namespace}/map-0`)?.value.whole, true);
  changes.length = 0;
  await request({
    verb: 'patch',
    place: { ...configMaps, namespace, name: 'map-0' },
    body: { type: 'application/merge-patch+json', object: { data: { a: 'changed' } } },
  });
  await label(namespace, 'map-0', 'one');
  await until(() => changes.length > 0);
  assert.deepEqual(
    changes.map(({ after }) => after?.value),
    [{ labels: '{"value":"one"}', whole: false }],
  );
});

test('watch that the network cuts: resumed by resource version without a list, nothing missed', async () => {
  const namespace = await namespaceWith(1);
  const { reflector, changes, until } = follow({ ...configMaps, namespace });
  await until(() => reflector.complete);
  const from = proxy.requests.length;
  proxy.spoil(() => 'cut');
  proxy.cutAll();
  await create(namespace, 'while-cut');
  await remove(namespace, 'map-0');
  changes.length = 0;
  proxy.mend();
  await until(() => changes.length === 2);
  assert.deepEqual([...reflector.objects.keys()], [`${namespace}/while-cut`]);
  assert.equal(counted(from).lists, 0);
});

test('watch that the server ends at its timeout: resumed without a list and without trouble', async () => {
  const namespace = await namespaceWith(1);
  const { reflector, troubles, until } = follow(
    { ...configMaps, namespace },
    { timing: { watchSeconds: 1 }, random: () => 0 },
  );
  await until(() => reflector.complete);
  const from = proxy.requests.length;
  await new Promise<void>((resolve) => {
    proxy.spoil(() => {
      if (counted(from).watches === 3) resolve();
      return 'pass';
    });
  });
  assert.equal(counted(from).lists, 0);
  assert.deepEqual(troubles.filter(Boolean), []);
});

test('watch on which nothing comes, not even a bookmark: given up and resumed', async () => {
  const namespace = await namespaceWith(1);
  const timing = { idleMs: 300, firstPauseMs: 20, longestPauseMs: 100, leastWatchMs: 100 };
  const { reflector, troubles, until } = follow({ ...configMaps, namespace }, { timing });
  await until(() => troubles.some((error) => error?.message.includes('nothing was sent for 0.3 s')));
  const count = reflector.objects.size;
  assert.equal(count, 1);
  await create(namespace, 'afterwards');
  await until(() => reflector.objects.size === 2);
});

test('resource version that the server no longer keeps: listed again and compared by uid', async () => {
  const node = (name: string) => ({ metadata: { name }, spec: {} });
  for (const name of ['node-1', 'node-2', 'node-3']) {
    await request({ verb: 'create', place: nodes, body: { type: json, object: node(name) } });
  }
  const { reflector, changes, until } = follow(nodes, { watch: 'metadata' });
  await until(() => reflector.complete);
  const uid = reflector.objects.get('node-2')?.uid;
  changes.length = 0;
  const from = proxy.requests.length;
  proxy.spoil(() => 'cut');
  proxy.cutAll();
  await request({ verb: 'delete', place: { ...nodes, name: 'node-2' } });
  await request({ verb: 'create', place: nodes, body: { type: json, object: node('node-2') } });
  await request({ verb: 'delete', place: { ...nodes, name: 'node-3' } });
  // A server that has just been started keeps no history.
  await server.stop();
  await server.start();
  assert.equal(reflector.objects.size, 3);
  proxy.mend();
  await until(() => changes.length > 0);
  const found = changes.map(({ key, before, after }) => [
    key,
    before?.uid === after?.uid,
    after !== undefined,
  ]);
  assert.deepEqual(found, [
    ['node-2', false, true],
    ['node-3', false, false],
  ]);
  assert.notEqual(reflector.objects.get('node-2')?.uid, uid);
  assert.equal(counted(from).lists >= 1, true);
});

const emptyList = '{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[]}';
const faults: readonly (readonly [string, Fault])[] = [
  ['500', { code: 500, body: 'etcdserver: no leader' }],
  ['429', { code: 429, headers: { 'retry-after': '0.05' } }],
  ['403', { code: 403, body: '{"kind":"Status","message":"forbidden"}' }],
  ['an empty answer', 'empty'],
  ['half a JSON object', { code: 200, body: '{"type":"DELETED","object":{"metadata":{"na' }],
  ['an object that is not a list', { code: 200, body: '{}' }],
  ['a list without a resource version', { code: 200, body: emptyList }],
  ['an event without an object', { code: 200, body: '{"type":"DELETED"}\n' }],
  ['an event that is not JSON', { code: 200, body: '{"type":"DEL\n' }],
  [
    'a deletion without uid',
    { code: 200, body: '{"type":"DELETED","object":{"metadata":{"resourceVersion":"1","name":"map-0"}}}\n' },
  ],
  ['a 410 for ever', { code: 410, body: '{"kind":"Status","message":"too old resource version"}' }],
  ['a closed connection', 'cut'],
];

for (const [what, fault] of faults) {
  test(`API server that answers ${what}: no object is lost, and everything is seen afterwards`, async () => {
    const namespace = await namespaceWith(3);
    const { reflector, changes, troubles, until } = follow({ ...configMaps, namespace });
    await until(() => reflector.complete);
    changes.length = 0;
    await new Promise<void>((resolve) => {
      let spoilt = 0;
      proxy.spoil(() => {
        if (++spoilt === 4) resolve();
        return fault;
      });
      proxy.cutAll();
    });
    await until(() => troubles.some((error) => error !== undefined));
    assert.equal(changes.length, 0);
    assert.equal(reflector.objects.size, 3);
    await remove(namespace, 'map-0');
    proxy.mend();
    await until(() => changes.length === 1);
    assert.deepEqual(
      changes.map(({ key, after }) => [key, after]),
      [[`${namespace}/map-0`, undefined]],
    );
    await until(() => troubles.at(-1) === undefined);
    assert.equal(reflector.trouble, undefined);
  });
}

test('API server that is unreachable at the start: complete once it answers, never before', async () => {
  const namespace = await namespaceWith(2);
  proxy.spoil(() => ({ code: 503 }));
  const { reflector, changes, troubles, until } = follow({ ...configMaps, namespace });
  await until(() => troubles.length > 0);
  assert.equal(reflector.complete, false);
  assert.deepEqual(changes, []);
  proxy.mend();
  await until(() => reflector.complete);
  assert.equal(reflector.objects.size, 2);
});
