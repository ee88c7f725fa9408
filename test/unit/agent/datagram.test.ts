import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { takeNotifier } from '../../../agent/notify/notifier.ts';
import { bind, close, recv, socket } from '../../../kernel/ffi.ts';
import { sendDatagram, unixAddress } from '../../../kernel/unix-datagram.ts';
import { folderOf } from './folder.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/** A service manager's socket; what it is told, as text. */
function manager(t: TestContext, name: string): () => string | undefined {
  const fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  t.after(() => close(fd));
  const address = unixAddress(name);
  assert.ok(address);
  bind(fd, address);
  const data = Buffer.alloc(4096);
  return () => {
    const length = recv(fd, data, 'receive');
    return length === undefined ? undefined : data.toString('utf8', 0, length);
  };
}

describe('a datagram to a Unix socket', () => {
  const names: [what: string, name: (t: TestContext) => string][] = [
    ['at a path', (t) => join(folderOf(t), 'notify')],
    ['in the abstract namespace', () => `@weft-test-${process.pid}`],
  ];
  for (const [what, name] of names) {
    it(`${what} arrives whole`, (t) => {
      const at = name(t);
      const told = manager(t, at);
      const { ready } = takeNotifier({
        env: { NOTIFY_SOCKET: at },
        onFailure: (error) => assert.fail(error),
      });
      ready('10.244.1.0/24');
      assert.equal(told(), 'READY=1\nSTATUS=10.244.1.0/24');
      assert.equal(told(), undefined);
    });
  }

  it('that nobody takes is an error with a name', (t) => {
    assert.throws(() => sendDatagram(join(folderOf(t), 'none'), Buffer.from('x')), { code: 'ENOENT' });
    assert.throws(() => sendDatagram(`@weft-test-none-${process.pid}`, Buffer.from('x')), {
      code: 'ECONNREFUSED',
    });
    assert.throws(() => sendDatagram(`/${'x'.repeat(200)}`, Buffer.from('x')), { code: 'ENAMETOOLONG' });
  });

  it('does not wait for a reader that has stopped reading', (t) => {
    const name = `@weft-test-full-${process.pid}`;
    manager(t, name);
    assert.throws(
      () => {
        for (let n = 0; n < 100_000; n++) sendDatagram(name, Buffer.from('x'));
      },
      { code: 'EAGAIN' },
    );
  });
});
