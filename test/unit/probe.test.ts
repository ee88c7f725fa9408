import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { decodeProbe, encodeProbe, PROBE_BYTES } from '../../agent/probe/message.ts';
import { Prober, type ProberOptions } from '../../agent/probe/prober.ts';
import { afterProbe, unknownReachability } from '../../agent/probe/threshold.ts';
import { ip } from '../../inet/ip.ts';

const timing = { periodSeconds: 0.01, timeoutSeconds: 0.2, failureThreshold: 3, successThreshold: 2 };

describe('a probe’s datagram', () => {
  it('comes back as it was written, whatever its size', () => {
    for (const kind of ['ask', 'answer'] as const) {
      for (const size of [0, PROBE_BYTES, 1400]) {
        const probe = { kind, token: '0123456789abcdef' };
        const bytes = encodeProbe(probe, size);
        assert.equal(bytes.length, Math.max(size, PROBE_BYTES));
        assert.deepEqual(decodeProbe(bytes), probe);
      }
    }
  });

  it('is told from anything else', () => {
    const good = encodeProbe({ kind: 'ask', token: '00'.repeat(8) });
    const spoiled = (at: number) => Buffer.from(good).fill(0xff, at, at + 1);
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(64),
      good.subarray(0, 15),
      spoiled(0),
      spoiled(4),
      spoiled(5),
    ]) {
      assert.equal(decodeProbe(bytes), undefined);
    }
  });
});

describe('reachability', () => {
  const after = (...outcomes: boolean[]) =>
    outcomes.reduce((state, ok) => afterProbe(state, ok, timing), unknownReachability).reachable;

  it('is unknown until a threshold is met, and changes only when the other one is', () => {
    assert.equal(after(), undefined);
    assert.equal(after(true), undefined);
    assert.equal(after(true, true), true);
    assert.equal(after(true, true, false, false), true);
    assert.equal(after(true, true, false, false, false), false);
    assert.equal(after(true, true, false, false, true, false, false), true);
    assert.equal(after(false, false, false, true), false);
    assert.equal(after(false, false, false, true, true), true);
  });
});

describe('a prober', () => {
  const port = 20_000 + (process.pid % 20_000);
  const open = (local: string, stop: AbortController, onChange: ProberOptions['onChange'] = () => {}) =>
    Prober.open({
      local: ip(local),
      port,
      mark: undefined,
      timing: () => timing,
      mostPerSecond: 1000,
      onChange,
      signal: stop.signal,
    });

  it('finds who answers and who does not', async () => {
    const stop = new AbortController();
    const known = new Map<string, boolean | undefined>();
    const both = new Promise<void>((resolve) => {
      const prober = open('127.0.77.1', stop, (key, state) => {
        known.set(key, state.reachable);
        if (known.size === 2) resolve();
      });
      prober.setTargets([
        { key: 'there', address: ip('127.0.77.2') },
        { key: 'silent', address: ip('127.0.77.3') },
      ]);
    });
    open('127.0.77.2', stop);
    await both;
    stop.abort();
    assert.deepEqual(
      known,
      new Map([
        ['there', true],
        ['silent', false],
      ]),
    );
  });

  it('heeds no answer to a question that it did not ask', async () => {
    const stop = new AbortController();
    const prober = open('127.0.77.4', stop, () => assert.fail('believed a forged answer'));
    const target = { key: 'forger', address: ip('127.0.77.5') };
    const forger = createSocket('udp4');
    forger.bind(port, '127.0.77.5');
    await once(forger, 'listening');
    prober.setTargets([target]);
    const asked = once(forger, 'message');
    prober.ask(target);
    await asked;
    for (let i = 0; i < 5; i++) {
      forger.send(encodeProbe({ kind: 'answer', token: 'ff'.repeat(8) }), port, '127.0.77.4');
    }
    // The prober answers questions in order: its answer to ours shows that it has read the forgeries.
    forger.send(encodeProbe({ kind: 'ask', token: 'aa'.repeat(8) }), port, '127.0.77.4');
    for (;;) {
      const [bytes] = (await once(forger, 'message')) as [Buffer];
      if (decodeProbe(bytes)?.token === 'aa'.repeat(8)) break;
    }
    assert.equal(prober.stateOf('forger').reachable, undefined);
    stop.abort();
    forger.close();
  });

  it('says so when its address is not this host’s', () => {
    assert.throws(() => open('192.0.2.1', new AbortController()), { code: 'EADDRNOTAVAIL' });
  });
});
