/** The agent's HTTP server: a few pages to read, none to write. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatIp, parseIp } from '../../inet/ip.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Listen } from '../config/config.ts';
import { formatListen } from '../config/effective.ts';
import { AgentError } from '../errors.ts';

interface Head {
  readonly status: number;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Page extends Head {
  readonly body: string;
}

/** A body that goes on: `stream` writes to the response, and lets go of it when it closes. */
export interface StreamedPage extends Head {
  readonly stream: (response: ServerResponse) => void;
}

type Answer = Page | StreamedPage;

/** A page by its path; it is given the query of the request. */
export type Routes = Readonly<
  Record<string, (query: URLSearchParams, request: IncomingMessage) => Answer | Promise<Answer>>
>;

export const json = (status: number, value: unknown): Page => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

/** Whoever does not get on is cut off: nothing here takes long. */
const patienceMs = 5_000;
const mostConnections = 64;
/** An agent that was killed has its sockets for as long as one of its threads is in the kernel. */
const vacatedMs = 2_000;
const retryMs = 50;

/**
 * Serves the pages until the signal fires; resolves, once it listens, with where (a port that was 0 is known
 * then).
 *
 * @throws AgentError `listen` where the address or port cannot be had
 */
export function serveHttp(options: {
  readonly listen: Listen;
  readonly routes: Routes;
  readonly signal: AbortSignal;
}): Promise<Listen> {
  const { listen, routes, signal } = options;
  const server = createServer(
    { requestTimeout: patienceMs, headersTimeout: patienceMs, keepAliveTimeout: patienceMs },
    (request, response) => {
      respond(routes, request, response).catch((error: unknown) => response.destroy(error as Error));
    },
  );
  server.maxConnections = mostConnections;
  signal.addEventListener(
    'abort',
    () => {
      server.close();
      server.closeAllConnections();
    },
    { once: true },
  );
  const begunMs = performance.now();
  return new Promise((resolve, reject) => {
    const attempt = (): void => {
      server.listen({ host: formatIp(listen.address), port: listen.port, signal }, () => {
        const { port } = server.address() as AddressInfo;
        resolve({ address: listen.address, port });
      });
    };
    // Who is told to end meanwhile has nobody to serve.
    const again = (): void => (signal.aborted ? resolve(listen) : attempt());
    server.on('error', (error) => {
      const late = signal.aborted || performance.now() - begunMs > vacatedMs;
      if ('code' in error && error.code === 'EADDRINUSE' && !late) setTimeout(again, retryMs);
      else reject(refusal(listen, error));
    });
    attempt();
  });
}

async function respond(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '/', query] = request.url?.split('?', 2) ?? [];
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const page = !route
    ? json(404, { error: `not found; pages: ${Object.keys(routes).join(', ')}` })
    : !reads
      ? json(405, { error: 'method not allowed; allowed: GET, HEAD' })
      : await route(new URLSearchParams(query), request);
  const head = {
    'content-type': page.type,
    'cache-control': 'no-store',
    ...page.headers,
    ...(route && !reads ? { allow: 'GET, HEAD' } : {}),
  };
  if ('stream' in page) {
    response.writeHead(page.status, head);
    if (request.method === 'HEAD') response.end();
    else page.stream(response);
    return;
  }
  response.writeHead(page.status, { ...head, 'content-length': Buffer.byteLength(page.body) });
  response.end(request.method === 'HEAD' ? undefined : page.body);
}

/** The same pages, for those only who ask by an address. */
export const addressedOnly = (routes: Routes): Routes =>
  Object.fromEntries(
    Object.entries(routes).map(([path, route]) => [
      path,
      (query, request) =>
        isAddressed(request.headers.host)
          ? route(query, request)
          : json(421, { error: 'wrong Host header; use the address of this agent, or localhost' }),
    ]),
  );

/**
 * Whether a Host header is an address or `localhost`. A name could be somebody's whose web page has it resolve to this
 * host (DNS rebinding), and reads what only this host may.
 */
export function isAddressed(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || parseIp(name) !== undefined;
}

function refusal(listen: Listen, error: Error): AgentError {
  const place = formatListen(listen);
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `${place} is in use (ss -ltnp shows the process); set another address, or off`,
    EADDRNOTAVAIL: `this host has no address ${formatIp(listen.address)}; set one that it has, or off`,
    EACCES: `${place}: permission denied; set a port above 1023, or off`,
  };
  const code = 'code' in error ? String(error.code) : '';
  return new AgentError('listen', `listen: ${reasons[code] ?? `${place}: ${reasonOf(error)}`}`, {
    cause: error,
  });
}
