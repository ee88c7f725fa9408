/** A list that is larger than a slow link carries in the time of one answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { test } from 'node:test';
import { type Cleanup, startEtcd } from './server.ts';

const limit = { timeout: 90_000 };
const never = new AbortController().signal;

/** 8 Mbit/s from the server to the client. */
const bytesPerMs = 1000;

/** A relay that passes on what the server sends at that rate. */
async function startSlowLink(t: Cleanup, target: number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    const slow = new Transform({
      transform: (data: Buffer, _encoding, done) => {
        setTimeout(done, data.length / bytesPerMs, null, data);
      },
    });
    near.pipe(far);
    far.pipe(slow).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test(
  'list of 8 MB over 8 Mbit/s: complete, though one answer of it would miss the deadline',
  limit,
  async (t) => {
    const etcd = await startEtcd(t);
    const direct = etcd.open();
    const keys = Array.from({ length: 4000 }, (_, n) => `weft/nodes/${String(n).padStart(5, '0')}`);
    for (let n = 0; n < keys.length; n += 100) {
      const write = keys.slice(n, n + 100).map((key) => {
        return { type: 'put' as const, key, value: 'x'.repeat(2000), session: undefined };
      });
      assert.ok(await direct.commit({ compare: [], write }, never));
    }
    const port = await startSlowLink(t, etcd.members[0]?.port ?? 0);
    const store = etcd.open({ endpoints: [{ secure: false, host: '127.0.0.1', port }] });
    const { records, cursor } = await store.list(never);
    assert.deepEqual(
      records.map(({ key }) => key),
      keys,
    );
    assert.equal(cursor, (await direct.list(never)).cursor);
  },
);
