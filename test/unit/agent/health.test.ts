import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { conditions } from '../../../agent/serve/health/conditions.ts';
import { Health } from '../../../agent/serve/health/health.ts';
import { healthRoutes } from '../../../agent/serve/health/routes.ts';
import { serveHttp } from '../../../agent/serve/http.ts';
import { ip } from '../../../inet/ip.ts';

const epoch = Date.parse('2026-01-01T00:00:00Z');

function health() {
  const time = { ms: 1_000_000 };
  const made = new Health({ now: () => time.ms, wallNow: () => epoch + time.ms });
  const allGood = () => {
    for (const code of ['store', 'lease', 'overlay', 'conflist'] as const) made.good(code);
  };
  return { health: made, time, allGood, codes: () => made.reasons.map(({ code }) => code) };
}

describe('health', () => {
  it('health at start: the store is the only reason shown', () => {
    const { health: made, codes } = health();
    assert.equal(made.ready, false);
    assert.deepEqual(codes(), ['store']);
  });

  it('conditions become good one after another: the next one is shown, then it is ready', () => {
    const { health: made, codes } = health();
    made.good('store');
    assert.deepEqual(codes(), ['lease']);
    made.good('lease');
    assert.deepEqual(codes(), ['overlay']);
    made.good('overlay');
    assert.deepEqual(codes(), ['conflist']);
    made.good('conflist');
    assert.deepEqual(codes(), []);
    assert.equal(made.ready, true);
  });

  it('condition reported bad twice: not ready, since the first report, with the last text', () => {
    const { health: made, time, allGood } = health();
    allGood();
    time.ms += 5_000;
    made.bad('lease', 'another node has it');
    time.ms += 5_000;
    made.bad('lease', 'another node has it still');
    assert.equal(made.ready, false);
    assert.deepEqual(made.reasons, [
      {
        code: 'lease',
        severity: 'error',
        text: 'another node has it still',
        remedy: conditions.lease.remedy,
        since: new Date(epoch + 1_005_000).toISOString(),
      },
    ]);
  });

  it('condition good for a time, no further report: bad from the end of that time', () => {
    const { health: made, time, allGood } = health();
    allGood();
    made.good('store', { forMs: 30_000, otherwise: 'the store is silent' });
    time.ms += 29_999;
    assert.equal(made.ready, true);
    time.ms += 1;
    assert.equal(made.ready, false);
    time.ms += 60_000;
    assert.deepEqual(made.reasons, [
      {
        code: 'store',
        severity: 'error',
        text: 'the store is silent',
        remedy: conditions.store.remedy,
        since: new Date(epoch + 1_030_000).toISOString(),
      },
    ]);
    made.good('store', { forMs: 30_000, otherwise: 'the store is silent' });
    assert.equal(made.ready, true);
  });

  it("report with a remedy: shown in place of the condition's own", () => {
    const { health: made, allGood } = health();
    allGood();
    made.bad('overlay', 'failed to bind UDP port 8472: in use by cilium_vxlan', 'set backend.port');
    assert.equal(made.reasons[0]?.remedy, 'set backend.port');
  });

  it('warning: shown while ready, with its severity', () => {
    const { health: made, allGood } = health();
    allGood();
    made.bad('peers', 'no answer from node-2');
    assert.equal(made.ready, true);
    assert.deepEqual(made.reasons, []);
    assert.deepEqual(
      made.warnings.map(({ code, severity }) => [code, severity]),
      [['peers', 'warning']],
    );
  });

  it('condition bad whose own cause is good: shown beside others', () => {
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
    ['live while not ready', ['/healthz', 'GET'], false, 200, { alive: true }],
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
            severity: 'error',
            text: 'the store has not answered yet',
            remedy: conditions.store.remedy,
            since: new Date(epoch + 1_000_000).toISOString(),
          },
        ],
        warnings: [],
      },
    ],
    ['the status only for HEAD', ['/readyz', 'HEAD'], true, 200, undefined],
    [
      '404 for an unknown page',
      ['/', 'GET'],
      true,
      404,
      { error: 'not found; pages: /livez, /healthz, /readyz' },
    ],
    [
      '404 for a name of Object.prototype',
      ['/constructor', 'GET'],
      true,
      404,
      { error: 'not found; pages: /livez, /healthz, /readyz' },
    ],
    ['405 for POST', ['/healthz', 'POST'], true, 405, { error: 'method not allowed; allowed: GET, HEAD' }],
  ];
  for (const [what, [path, method], good, status, body] of rows) {
    it(`health page: ${what}`, async (t) => {
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

  it('HTTP port in use: refused with the remedy', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await assert.rejects(serve(t, health().health, port), {
      code: 'listen',
      message: `listen: 127.0.0.1:${port} is in use (ss -ltnp shows the process); set another address, or off`,
    });
  });

  it('HTTP port of an agent that ends: listens once it is free', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const served = serve(t, health().health, port);
    other.close();
    assert.equal((await served).port, port);
  });

  it('HTTP port in use, agent stops: no error', async (t) => {
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

  it('HTTP address of another host: refused with the remedy', async (t) => {
    await assert.rejects(serve(t, health().health, 0, '192.0.2.1'), {
      code: 'listen',
      message: 'listen: this host has no address 192.0.2.1; set one that it has, or off',
    });
  });

  it('agent stops: its HTTP port is free', async (t) => {
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
