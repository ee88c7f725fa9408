/** Stands between a client and the API server, has the server's certificate, and spoils what a test says. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Cleanup } from '../etcd/server.ts';
import type { ApiServer } from './api-server.ts';

export interface Request {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly userAgent: string;
}

/**
 * `pass`; an answer of its own; `half`: the first half of the server's answer, then the connection ends; `empty`: 200
 * without a body; `hang`: no answer; `cut`: the connection ends without an answer.
 */
export type Fault =
  | 'pass'
  | 'half'
  | 'empty'
  | 'hang'
  | 'cut'
  | { readonly code: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

export interface FaultProxy {
  readonly port: number;
  /** What has been asked for, in order. */
  readonly requests: Request[];
  /** From now on. */
  spoil(fault: (request: Request) => Fault): void;
  mend(): void;
  /** Ends every connection. */
  cutAll(): void;
}

export async function startFaultProxy(t: Cleanup, server: ApiServer): Promise<FaultProxy> {
  const requests: Request[] = [];
  const sockets = new Set<Duplex>();
  let fault: (request: Request) => Fault = () => 'pass';
  const agent = new https.Agent({ keepAlive: true });
  const tls = { cert: read('server.pem'), key: read('server.key') };
  const proxy = https.createServer(tls, (from, to) => {
    const request = {
      method: from.method ?? '',
      url: from.url ?? '',
      userAgent: from.headers['user-agent'] ?? '',
    };
    requests.push(request);
    const told = fault(request);
    if (told === 'cut') return from.socket.destroy();
    if (told === 'hang') return undefined;
    if (told === 'empty') return to.end();
    if (typeof told === 'object') {
      to.writeHead(told.code, told.headers);
      return to.end(told.body);
    }
    return forward(from, to, told === 'half');
  });
  proxy.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const forward = (from: http.IncomingMessage, to: http.ServerResponse, half: boolean): void => {
    const onward = https.request(
      {
        ...{ agent, host: '127.0.0.1', port: server.port, ca: server.ca },
        ...{ path: from.url, method: from.method, headers: from.headers },
      },
      (answer) => {
        const { 'content-length': length, ...headers } = answer.headers;
        to.writeHead(answer.statusCode ?? 500, half ? headers : answer.headers);
        answer.once('close', () => answer.complete || from.socket.destroy());
        // A watch has nothing to say at first.
        to.flushHeaders();
        if (!half) return answer.pipe(to);
        return void answer.once('data', (data: Buffer) => {
          to.write(data.subarray(0, Math.floor(data.length / 2)), () => from.socket.destroy());
          answer.destroy();
        });
      },
    );
    onward.on('error', () => from.socket.destroy());
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  };
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  t.after(() => {
    cutAll();
    agent.destroy();
    proxy.close();
  });
  return {
    port: (proxy.address() as AddressInfo).port,
    requests,
    spoil: (given) => {
      fault = given;
    },
    mend: () => {
      fault = () => 'pass';
    },
    cutAll,
  };

  function read(name: string): Buffer {
    return readFileSync(join(server.folder, name));
  }
}

/** A forward proxy that opens tunnels (HTTP CONNECT) and remembers to where. */
export async function startTunnelProxy(
  t: Cleanup,
  answer = 200,
): Promise<{ port: number; targets: string[] }> {
  const targets: string[] = [];
  const proxy = http.createServer();
  const sockets = new Set<Duplex>();
  proxy.on('connect', (request, near: Duplex) => {
    targets.push(request.url ?? '');
    sockets.add(near);
    if (answer !== 200) return near.end(`HTTP/1.1 ${answer} Forbidden\r\n\r\n`);
    const [host, port] = (request.url ?? '').split(':');
    const far = connect(Number(port), host, () => {
      near.write('HTTP/1.1 200 OK\r\n\r\n');
      near.pipe(far);
      far.pipe(near);
    });
    sockets.add(far);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    return undefined;
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return { port: (proxy.address() as AddressInfo).port, targets };
}
