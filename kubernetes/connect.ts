/** Connections to the API server: TLS or not, directly or through a proxy's tunnel (HTTP CONNECT). */
import http from 'node:http';
import https from 'node:https';
import { type Duplex, PassThrough } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { ApiError } from './errors.ts';

/** A peer that is gone without a word is noticed by the kernel's own probes: 15 s idle, then ten probes, 1 s apart. */
const keepAliveMs = 15_000;
const proxyTimeoutMs = 10_000;

/** Connections that are kept for the next request. A watch holds one of them. */
export function agentFor(server: URL, proxy: URL | undefined): http.Agent {
  const options = {
    keepAlive: true,
    keepAliveMsecs: keepAliveMs,
    maxFreeSockets: 2,
    scheduling: 'lifo',
  } as const;
  const secure = server.protocol === 'https:';
  if (proxy) return new TunnelAgent({ ...options, proxy, secure });
  return secure ? new https.Agent(options) : new http.Agent(options);
}

interface TunnelOptions extends http.AgentOptions {
  readonly proxy: URL;
  readonly secure: boolean;
}

type Connected = (error: Error | null, socket: Duplex) => void;

class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #secure: boolean;

  constructor({ proxy, secure, ...options }: TunnelOptions) {
    super(options);
    this.#proxy = proxy;
    this.#secure = secure;
    if (!secure) Object.assign(this, { protocol: 'http:', defaultPort: 80 });
  }

  override createConnection(options: https.RequestOptions, connected?: Connected): Duplex | undefined {
    const done: Connected = connected ?? (() => undefined);
    this.#tunnel(options, (error, socket) => {
      if (error || !this.#secure) return done(error, socket);
      return done(null, connectTls({ ...options, socket } as ConnectionOptions));
    });
    return undefined;
  }

  #tunnel({ host, port }: https.RequestOptions, done: Connected): void {
    const proxy = this.#proxy;
    const target = `${host?.includes(':') ? `[${host}]` : host}:${port}`;
    const fail = (why: string, cause?: Error): void => {
      const error = new ApiError('unreachable', `failed to connect through proxy ${proxy.host}: ${why}`, {
        cause,
      });
      done(error, new PassThrough());
    };
    const login = proxy.username
      ? Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`)
      : undefined;
    const request = (proxy.protocol === 'https:' ? https : http).request({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      agent: false,
      timeout: proxyTimeoutMs,
      headers: {
        host: target,
        ...(login ? { 'proxy-authorization': `Basic ${login.toString('base64')}` } : {}),
      },
    });
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return done(null, socket);
      socket.destroy();
      return fail(`it answered ${response.statusCode} ${response.statusMessage}`);
    });
    request.once('timeout', () => request.destroy(new Error(`no answer within ${proxyTimeoutMs / 1000} s`)));
    request.once('error', (error) => fail(error.message, error));
    request.end();
  }
}
