import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import type { AgentError } from '../../../agent/errors.ts';
import { takeNotifier } from '../../../agent/notify/notifier.ts';
import { KernelError } from '../../../kernel/errors.ts';
import { unixAddress } from '../../../kernel/unix-datagram.ts';

function notifier(env: Record<string, string>, send?: (name: string, text: string) => void) {
  const sent: string[] = [];
  const failures: AgentError[] = [];
  const given: Record<string, string | undefined> = { ...env };
  const made = takeNotifier({
    env: given,
    onFailure: (error) => failures.push(error),
    send: (name, data) => {
      const text = Buffer.from(data).toString();
      send?.(name, text);
      sent.push(`${name} ${text}`);
    },
  });
  return { ...made, sent, failures, env: given };
}

describe('service manager', () => {
  it('status, ready, stopping: one assignment per line', () => {
    const { ready, status, stopping, sent } = notifier({ NOTIFY_SOCKET: '@manager' });
    status('seeks a subnet');
    ready('10.244.1.0/24\nREADY=0');
    stopping();
    assert.deepEqual(sent, [
      '@manager STATUS=seeks a subnet',
      '@manager READY=1\nSTATUS=10.244.1.0/24 READY=0',
      '@manager STOPPING=1',
    ]);
  });

  it('NOTIFY_SOCKET unset: nothing is sent', () => {
    const { ready, watch, sent } = notifier({ WATCHDOG_USEC: '1000' });
    ready('');
    watch(AbortSignal.timeout(1000));
    assert.deepEqual(sent, []);
  });

  it('environment: its variables are removed', () => {
    const { env } = notifier({ NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '1', WATCHDOG_PID: '2', HOME: '/' });
    assert.deepEqual(env, { HOME: '/' });
  });

  it('send fails: reported, not thrown', () => {
    const { ready, failures } = notifier({ NOTIFY_SOCKET: '/run/gone' }, () => {
      throw new Error('ENOENT');
    });
    ready('up');
    assert.deepEqual(
      failures.map(({ message }) => message),
      ['failed to send READY, STATUS to the service manager: ENOENT'],
    );
  });

  it('socket gone: reported once; queue full: reported each time', () => {
    for (const [errno, missed] of [
      [constants.errno.ENOENT, 1],
      [constants.errno.ECONNREFUSED, 1],
      [constants.errno.EAGAIN, 2],
    ] as const) {
      const { status, failures } = notifier({ NOTIFY_SOCKET: '/run/notify' }, () => {
        throw new KernelError({ errno, attempted: 'send to /run/notify' });
      });
      status('one');
      status('two');
      assert.equal(failures.length, missed);
    }
  });

  it('NOTIFY_SOCKET of an unsupported kind: refused', () => {
    assert.throws(() => notifier({ NOTIFY_SOCKET: 'vsock:2:1234' }), { code: 'notify' });
  });

  it('watchdog before ready: the start timeout is extended; after ready: WATCHDOG=1, until the signal', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const stop = new AbortController();
    const { ready, watch, sent } = notifier({ NOTIFY_SOCKET: '@m', WATCHDOG_USEC: '60000000' });
    watch(stop.signal);
    t.mock.timers.tick(30_000);
    assert.deepEqual(sent, Array(2).fill('@m EXTEND_TIMEOUT_USEC=60000000'));
    ready('up');
    t.mock.timers.tick(60_000);
    assert.deepEqual(sent.slice(2), ['@m READY=1\nSTATUS=up', '@m WATCHDOG=1', '@m WATCHDOG=1']);
    stop.abort();
    t.mock.timers.tick(60_000);
    assert.equal(sent.length, 5);
  });

  it('watchdog interval of 100 days: shown every hour, not every millisecond', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { watch, sent } = notifier({ NOTIFY_SOCKET: '@m', WATCHDOG_USEC: String(100 * 86_400_000_000) });
    watch(new AbortController().signal);
    t.mock.timers.tick(3_600_000);
    assert.equal(sent.length, 2);
  });

  it('WATCHDOG_PID of another process: nothing is sent', () => {
    const { watch, sent } = notifier({ NOTIFY_SOCKET: '@m', WATCHDOG_USEC: '4000', WATCHDOG_PID: '1' });
    watch(AbortSignal.timeout(1000));
    assert.deepEqual(sent, []);
  });
});

describe('address of a Unix socket (unix(7))', () => {
  const rows: [name: string, bytes: string | undefined][] = [
    ['/run/n', '01002f72756e2f6e00'],
    ['@n', '0100006e'],
    [`/${'x'.repeat(106)}`, `01002f${'78'.repeat(106)}00`],
    [`/${'x'.repeat(107)}`, undefined],
    [`@${'x'.repeat(107)}`, `010000${'78'.repeat(107)}`],
    [`@${'x'.repeat(108)}`, undefined],
  ];
  for (const [name, bytes] of rows) {
    it(`name of ${name.length} characters, ${name.slice(0, 6)}`, () => {
      assert.equal(unixAddress(name)?.toString('hex'), bytes);
    });
  }
});
