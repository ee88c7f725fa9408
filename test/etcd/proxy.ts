/** A TCP relay between an agent and etcd that can be cut and stalled: the network between two machines. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Cleanup } from './server.ts';

export interface Proxy {
  readonly port: number;
  /** Ends every connection; new ones are refused until `mend`. */
  cut(): void;
  /** Nothing passes on the connections there are, and nobody is told, as behind a firewall that forgot them. */
  stall(): void;
  mend(): void;
  /** Cuts once that many bytes have come back from the server, and mends at once. */
  cutAfter(bytes: number): void;
}

export async function startProxy(t: Cleanup, target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let open = true;
  const stalled = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    if (!open) return near.destroy();
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (data) => stalled.has(near) || far.write(data));
    far.on('data', (data) => {
      if (stalled.has(far)) return;
      left -= data.length;
      near.write(data);
      if (left > 0) return;
      left = Number.POSITIVE_INFINITY;
      endAll();
    });
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    endAll();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    cut: () => {
      open = false;
      endAll();
    },
    stall: () => {
      for (const socket of sockets) stalled.add(socket);
    },
    mend: () => {
      open = true;
    },
    cutAfter: (bytes) => {
      left = bytes;
    },
  };
}
