/** How large a packet may be that reaches a peer: found with few probes, and not by the loss of one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PathMtu, searchPathMtu } from '../../../agent/probe/path-mtu.ts';

/** A path that lets through what is no larger, and loses every n-th packet of those. */
function path(widthBytes: number, loseEvery = Number.POSITIVE_INFINITY) {
  const asked: number[] = [];
  return {
    asked,
    ask: async (sizeBytes: number) => {
      asked.push(sizeBytes);
      return sizeBytes <= widthBytes && asked.length % loseEvery !== 0;
    },
  };
}

const search = { least: 576, full: 1450, before: undefined };

describe('the search for the largest size', () => {
  it('asks once where the path is as wide as it should be', async () => {
    const { ask, asked } = path(9000);
    assert.equal(await searchPathMtu({ ...search, ask }), 1450);
    assert.deepEqual(asked, [1450]);
  });

  for (const width of [576, 577, 1000, 1280, 1399, 1448, 1449]) {
    it(`finds ${width} exactly`, async () => {
      const { ask, asked } = path(width);
      assert.equal(await searchPathMtu({ ...search, ask }), width);
      assert.ok(asked.length < 40, `${asked.length} probes`);
    });
  }

  it('is not misled by packets that are lost for other reasons', async () => {
    for (const loseEvery of [2, 3, 5]) {
      assert.equal(await searchPathMtu({ ...search, ask: path(9000, loseEvery).ask }), 1450);
      assert.equal(await searchPathMtu({ ...search, ask: path(1300, loseEvery).ask }), 1300);
    }
  });

  it('says nothing of a peer that answers not even what every path takes', async () => {
    assert.equal(await searchPathMtu({ ...search, ask: path(500).ask }), undefined);
  });

  it('asks little where a narrow path is as it was', async () => {
    const { ask, asked } = path(1300);
    assert.equal(await searchPathMtu({ ...search, before: 1300, ask }), 1300);
    assert.deepEqual([...new Set(asked)], [1450, 1300, 1301]);
  });

  it('finds a path that became wider, narrower, or whole', async () => {
    const found = (width: number) => searchPathMtu({ ...search, before: 1300, ask: path(width).ask });
    assert.deepEqual([await found(1400), await found(1200), await found(1450)], [1400, 1200, 1450]);
  });
});

describe('the paths to the peers', () => {
  it('are reported when they become narrow and when they are wide again, and forgotten with the peer', async () => {
    const widths = new Map([
      ['wide', 1450],
      ['narrow', 1300],
      ['silent', 0],
    ]);
    const stop = new AbortController();
    const reports: [string, number | undefined][] = [];
    let heard = () => {};
    const paths = new PathMtu({
      ask: async (key, sizeBytes) => sizeBytes <= (widths.get(key) ?? 0),
      answers: (key) => widths.get(key) !== 0,
      roundMs: () => 0,
      onChange: (key, sizeBytes) => {
        reports.push([key, sizeBytes]);
        heard();
      },
      signal: stop.signal,
    });
    const report = () => new Promise<void>((resolve) => (heard = resolve));
    const scope = { keys: [...widths.keys()], full: 1450, least: 576 };
    try {
      const narrowed = report();
      paths.follow(scope);
      await narrowed;
      assert.deepEqual([...paths.narrow], [['narrow', 1300]]);
      const widened = report();
      widths.set('narrow', 1450);
      await widened;
      assert.deepEqual(reports, [
        ['narrow', 1300],
        ['narrow', undefined],
      ]);
      assert.equal(paths.narrow.size, 0);
      const again = report();
      widths.set('narrow', 1400);
      await again;
      paths.follow({ ...scope, keys: ['wide'] });
      assert.equal(paths.narrow.size, 0);
    } finally {
      stop.abort();
    }
  });
});
