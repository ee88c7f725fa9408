import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Health } from '../../../agent/serve/health/health.ts';
import { healthRoutes } from '../../../agent/serve/health/routes.ts';
import { serveHttp } from '../../../agent/serve/http.ts';
import { ip } from '../../../inet/ip.ts';

const epoch = Date.parse('2026-01-01T00:00:00Z');

function health() {
  const time = { ms: 1_000_000 };
  const made = new Health({ now: () => time.ms, wallNow: () => epoch + time.ms });
  const allGood = () => {
    for (const code of ['store', 'lease', 'overlay'] as const) made.good(code);
  };
  return { health: made, time, allGood, codes: () => made.reasons.map(({ code }) => code) };
}

describe('health', () => {
  it('begins with the first cause of everything', () => {
    const { health: made, codes } = health();
    assert.equal(made.ready, false);
    assert.deepEqual(codes(), ['store']);
  });

  it('shows what is next once a cause is good, and is ready in the end', () => {
    const { health: made, codes } = health();
    made.good('store');
    assert.deepEqual(codes(), ['lease']);
    made.good('lease');
    assert.deepEqual(codes(), ['overlay']);
    made.good('overlay');
    assert.deepEqual(codes(), []);
    assert.equal(made.ready, true);
  });

  it('is not ready for any one reason, and says since when', () => {
    const { health: made, time, allGood } = health();
    allGood();
    time.ms += 5_000;
    made.bad('lease', 'another node has it');
    time.ms += 5_000;
    made.bad('lease', 'another node has it still');
    assert.equal(made.ready, false);
    assert.deepEqual(made.reasons, [
      { code: 'lease', text: 'another node has it still', since: new Date(epoch + 1_005_000).toISOString() },
    ]);
  });

  it('goes by itself where nothing is heard in time', () => {
    const { health: made, time, allGood } = health();
    allGood();
    made.good('store', { forMs: 30_000, otherwise: 'the store is silent' });
    time.ms += 29_999;
    assert.equal(made.ready, true);
    time.ms += 1;
    assert.equal(made.ready, false);
    time.ms += 60_000;
    assert.deepEqual(made.reasons, [
      { code: 'store', text: 'the store is silent', since: new Date(epoch + 1_030_000).toISOString() },
    ]);
    made.good('store', { forMs: 30_000, otherwise: 'the store is silent' });
    assert.equal(made.ready, true);
  });

  it('hides a symptom only behind its own cause', () => {
    const { health: made, allGood, codes } = health();
    allGood();
    made.bad('store', 'away');
    made.bad('overlay', 'no device');
    assert.deepEqual(codes(), ['store', 'overlay']);
  });
});

describe('health over HTTP', () => {
  const rows: [
    what: string,
    request: [path: string, method: string],
    good: boolean,
    status: number,
    body: unknown,
  ][] = [
    ['alive though not ready', ['/healthz', 'GET'], false, 200, { alive: true }],
    ['ready', ['/readyz', 'GET'], true, 200, { ready: true, reasons: [], warnings: [] }],
    [
      'ready, asked with a query',
      ['/readyz?verbose', 'GET'],
      true,
      200,
      { ready: true, reasons: [], warnings: [] },
    ],
    [
      'not ready, and why',
      ['/readyz', 'GET'],
      false,
      503,
      {
        ready: false,
        reasons: [
          {
            code: 'store',
            text: 'the store has not been heard yet',
            since: new Date(epoch + 1_000_000).toISOString(),
          },
        ],
        warnings: [],
      },
    ],
    ['no more than a status for HEAD', ['/readyz', 'HEAD'], true, 200, undefined],
    ['no page', ['/', 'GET'], true, 404, { error: 'no such page; there is /healthz, /readyz' }],
    [
      'no page of an object',
      ['/constructor', 'GET'],
      true,
      404,
      { error: 'no such page; there is /healthz, /readyz' },
    ],
    ['nothing to write', ['/healthz', 'POST'], true, 405, { error: 'GET and HEAD only' }],
  ];
  for (const [what, [path, method], good, status, body] of rows) {
    it(`is ${what}`, async (t) => {
      const { health: made, allGood } = health();
      if (good) allGood();
      const { address, port } = await serve(t, made);
      assert.equal(address.value, ip('127.0.0.1').value);
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
      const text = await response.text();
      assert.equal(response.status, status);
      assert.deepEqual(text === '' ? undefined : JSON.parse(text), body);
    });
  }

  it('is refused on a port that is taken, with the remedy', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await assert.rejects(serve(t, health().health, port), {
      code: 'listen',
      message: `listen: 127.0.0.1:${port} is taken (ss -ltnp shows by whom); choose another, or off`,
    });
  });

  it('waits for the port of an agent that is just ending', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const served = serve(t, health().health, port);
    other.close();
    assert.equal((await served).port, port);
  });

  it('waits no longer once the agent is told to end', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const stop = new AbortController();
    const listen = { address: ip('127.0.0.1'), port };
    const served = serveHttp({ listen, routes: {}, signal: stop.signal });
    setImmediate(() => stop.abort());
    await served;
  });

  it('is refused on an address of another host', async (t) => {
    await assert.rejects(serve(t, health().health, 0, '192.0.2.1'), {
      code: 'listen',
      message: 'listen: this host has no address 192.0.2.1; choose one that it has, or off',
    });
  });

  it('lets its port go when the agent stops', async (t) => {
    const stop = new AbortController();
    const listen = { address: ip('127.0.0.1'), port: 0 };
    const { port } = await serveHttp({ listen, routes: {}, signal: stop.signal });
    await fetch(`http://127.0.0.1:${port}/`).then((response) => response.text());
    stop.abort();
    await serve(t, health().health, port);
  });
});

function serve(t: TestContext, made: Health, port = 0, address = '127.0.0.1') {
  const stop = new AbortController();
  t.after(() => stop.abort());
  return serveHttp({
    listen: { address: ip(address), port },
    routes: healthRoutes(made),
    signal: stop.signal,
  });
}
