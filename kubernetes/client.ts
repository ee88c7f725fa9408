/**
 * A client of the Kubernetes API over Node's own HTTP stack: one request, one answer. The official library takes 135 MB
 * and does not load on Node 20. What is repeated, and when, is the caller's; only what the server asks for is obeyed
 * here: after a `Retry-After` no request of this client is sent before that time.
 */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access, Identity } from './access.ts';
import { type Attempt, errorOf, errorOfConnection, type Verb, whatFailed } from './answer.ts';
import { agentFor } from './connect.ts';
import { ApiError, isApiError } from './errors.ts';
import { isObject, type JsonObject } from './json.ts';
import { proxyFor } from './proxy.ts';
import { type Place, pathOf, type Query } from './resource.ts';

export interface ClientOptions {
  readonly access: Access;
  /** `weftd/0.1.0 (linux/x64)`: how the API server's audit log and metrics name us. */
  readonly userAgent: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long a connection and the first byte of an answer may take, and each pause within it. Default 30 s. */
  readonly timeoutMs?: number;
}

export interface Call {
  readonly verb: Verb;
  readonly place: Place;
  readonly query?: Query;
  /** `metadata`: objects are asked for without spec and status (PartialObjectMetadata). */
  readonly as?: 'object' | 'metadata';
  readonly body?: { readonly type: string; readonly object: object };
  /** How long the answer's body may pause, if not as long as an answer may take. */
  readonly idleMs?: number;
  readonly signal: AbortSignal;
}

const methods = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  patch: 'PATCH',
  create: 'POST',
  delete: 'DELETE',
} as const;

/** No error of an API server is longer. */
const mostErrorBytes = 1 << 20;

export class ApiClient {
  readonly #options: ClientOptions;
  readonly #agent: http.Agent;
  readonly #timeoutMs: number;
  /** Milliseconds of `performance.now()`: nothing is sent before. */
  #notBeforeMs = 0;
  /** How many requests have been sent. */
  requests = 0;
  /** How many bytes of answers have been received. */
  received = 0;

  /** Throws `AccessError` where the environment names a proxy that cannot be used. */
  constructor(options: ClientOptions) {
    const { access, env = process.env } = options;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#agent = agentFor(
      access.server,
      access.proxy === 'environment' ? proxyFor(access.server, env) : access.proxy,
    );
  }

  get server(): string {
    return this.#options.access.server.origin;
  }

  /** The JSON object that the server answers. Throws `ApiError`; the signal's reason when that fires. */
  async request(call: Call): Promise<JsonObject> {
    const text = (await this.bytes(call)).toString('utf8');
    const object = parseObject(text);
    if (object) return object;
    const what =
      text.trim() === '' ? 'the answer is empty' : `the answer is not JSON (${text.length} characters)`;
    throw new ApiError('unreachable', `${whatFailed(this.#attempt(call))}: ${what}; retrying`);
  }

  /** The whole body of the answer. Throws as `request`. */
  async bytes(call: Call): Promise<Buffer> {
    const response = await this.open(call);
    try {
      return await this.#read(response);
    } catch (error) {
      call.signal.throwIfAborted();
      throw errorOfConnection(this.#attempt(call), error);
    }
  }

  /** The answer's body, unread; the caller ends it. Throws as `request`. */
  async open(call: Call): Promise<http.IncomingMessage> {
    const { credentials } = this.#options.access;
    try {
      return await this.#open(call, await credentials.current(call.signal));
    } catch (error) {
      if (!isApiError(error, 'unauthorized')) throw error;
      // A token may have been replaced, and an exec plugin's answer revoked, since it was read.
      credentials.refused();
      return await this.#open(call, await credentials.current(call.signal));
    }
  }

  /** Ends what is open; a request under way fails. */
  close(): void {
    this.#agent.destroy();
  }

  async #open(call: Call, identity: Identity): Promise<http.IncomingMessage> {
    const { signal } = call;
    const waitMs = this.#notBeforeMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    signal.throwIfAborted();
    const attempt = this.#attempt(call);
    let response: http.IncomingMessage;
    try {
      response = await this.#send(call, identity);
    } catch (error) {
      signal.throwIfAborted();
      throw errorOfConnection(attempt, error);
    }
    const code = response.statusCode ?? 0;
    if (code >= 200 && code < 300) return response;
    const text = await this.#read(response, mostErrorBytes).then(String, () => '');
    const retryAfter = response.headers['retry-after'];
    const status = parseObject(text);
    const error = errorOf(attempt, { code, status, ...(retryAfter === undefined ? {} : { retryAfter }) });
    if (error.retryAfterMs !== undefined) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, performance.now() + error.retryAfterMs);
    }
    throw error;
  }

  #send(call: Call, identity: Identity): Promise<http.IncomingMessage> {
    const { access, userAgent } = this.#options;
    const { server, tlsServerName } = access;
    const secure = server.protocol === 'https:';
    const body = call.body && Buffer.from(JSON.stringify(call.body.object));
    const { token, certificate } = identity;
    const ca = secure ? access.ca() : undefined;
    this.requests++;
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).request({
        agent: this.#agent,
        host: server.hostname.replace(/^\[|\]$/g, ''),
        port: server.port || (secure ? 443 : 80),
        path: server.pathname.replace(/\/$/, '') + pathOf(call.place, call.query),
        method: methods[call.verb],
        headers: {
          accept: acceptOf(call),
          'user-agent': userAgent,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body ? { 'content-type': call.body?.type, 'content-length': body.length } : {}),
        },
        signal: call.signal,
        ...(ca === undefined ? {} : { ca }),
        ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
        ...(secure && certificate ? certificate : {}),
      });
      const silence = (ms: number, what: string): Error => new Error(`${what} for ${ms / 1000} s`);
      request.setTimeout(this.#timeoutMs, () => request.destroy(silence(this.#timeoutMs, 'no answer')));
      request.once('error', reject);
      request.once('response', (response) => {
        // What happens to the connection from here on, the reader of the body hears of.
        request.off('error', reject);
        request.on('error', () => undefined);
        request.removeAllListeners('timeout');
        const idleMs = call.idleMs ?? this.#timeoutMs;
        request.setTimeout(idleMs, () => response.destroy(silence(idleMs, 'nothing was sent')));
        resolve(response);
      });
      request.end(body);
    });
  }

  async #read(response: http.IncomingMessage, most = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      this.received += chunk.length;
      if (length > most) break;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #attempt({ verb, place }: Call): Attempt {
    return { verb, place, server: this.server, source: this.#options.access.source };
  }
}

/** Metadata alone is a view of the server's; a server that does not know it answers 406. */
function acceptOf({ verb, as }: Call): string {
  if (as !== 'metadata') return 'application/json';
  const kind = verb === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  return `application/json;as=${kind};g=meta.k8s.io;v=v1`;
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
