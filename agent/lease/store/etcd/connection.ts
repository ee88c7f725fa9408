/**
 * Calls to one of etcd's members after another: who does not answer is left for the next. Holds the token, and
 * gets a new one when it is not taken any more.
 */
import { Client, type ClientDuplexStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { EtcdStoreConfig } from '../../../config/config.ts';
import { StoreError } from '../../errors.ts';
import { authenticate, type Method } from './methods.ts';
import { passwordOf } from './password.ts';
import { type Endpoint, isStaleToken, storeError } from './refusals.ts';
import { memberSecurity } from './tls.ts';

/** How long one member may take for one answer. */
const answerMs = 5000;

interface Member extends Endpoint {
  client: Client;
  readonly connect: () => Client;
}

const channelOptions = {
  // A connection whose other end is gone is noticed in 15 s; etcd allows a ping every 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 5000,
  // A list of 5000 leases has 3 MB, and somebody may have put anything under the prefix.
  'grpc.max_receive_message_length': 256 * 1024 * 1024,
  'grpc.enable_retries': 0,
  // A client that replaces another one must not get its connection back from the process's pool.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  // Nobody looks at channelz, and it keeps the history of every call.
  'grpc.enable_channelz': 0,
};

export class Connection {
  readonly #members: readonly [Member, ...Member[]];
  readonly #config: EtcdStoreConfig;
  #current = 0;
  #token: string | undefined;
  #login: Promise<void> | undefined;

  /** Connects. Throws `StoreError` `refused` if certificates or the password cannot be read. */
  constructor(config: EtcdStoreConfig, random: () => number) {
    this.#config = config;
    if (config.login) passwordOf(config.login);
    const securityOf = memberSecurity(config);
    const members = config.endpoints.map(({ host, port, secure: tls }): Member => {
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      const { credentials, fault } = securityOf(host);
      const connect = (): Client => new Client(address, credentials, channelOptions);
      const name = `${tls ? 'https' : 'http'}://${address}`;
      return { name, client: connect(), connect, tlsFault: fault };
    });
    const [first, ...rest] = members;
    if (!first) throw new StoreError('refused', 'etcd.endpoints is empty: name at least one');
    this.#members = [first, ...rest];
    // A thousand agents with one list should not all sit at its first member.
    this.#current = Math.floor(random() * members.length);
    // What else a start does, it does while the connection is made.
    this.#member.client.getChannel().getConnectivityState(true);
  }

  get description(): string {
    return `etcd ${this.#members.map(({ name }) => name).join(',')}${this.#config.prefix}`;
  }

  /** One request, one answer. `repeatable`: may be asked of the next member, though this one may have done it. */
  async call<Request extends object, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: { readonly repeatable: boolean; readonly signal: AbortSignal },
  ): Promise<Response> {
    const { repeatable, signal } = options;
    let failure: unknown;
    for (let asked = 0; asked < (repeatable ? this.#members.length : 1); asked++) {
      const member = this.#member;
      try {
        return await this.#withToken(member, signal, (metadata) =>
          unary({ member, method, request, metadata, signal }),
        );
      } catch (error) {
        signal.throwIfAborted();
        failure = storeError(error, member, this.#config.prefix);
        this.#leave(member);
      }
    }
    throw failure;
  }

  /** A stream in both directions; whoever reads it hands its failure to `failed`. */
  async stream<Request extends object, Response>(
    method: Method<Request, Response>,
    signal: AbortSignal,
  ): Promise<{ stream: ClientDuplexStream<Request, Response>; failed(error: unknown): StoreError }> {
    const member = this.#member;
    const failed = (error: unknown): StoreError => {
      if (isStaleToken(error)) this.#token = undefined;
      this.#leave(member);
      return isStaleToken(error)
        ? new StoreError('away', `etcd ${member.name}: our token has ended`)
        : storeError(error, member, this.#config.prefix);
    };
    try {
      if (this.#config.login && this.#token === undefined) await this.#authenticate(member, signal);
      const metadata = this.#metadata();
      // A member that has lost its leader ends the stream, where it would fall silent.
      metadata.set('hasleader', 'true');
      const { path, encode, decode } = method;
      return { stream: member.client.makeBidiStreamRequest(path, encode, decode, metadata), failed };
    } catch (error) {
      signal.throwIfAborted();
      throw failed(error);
    }
  }

  /**
   * Leaves all connections and makes new ones: this host has another address, and requests sent from the one of before
   * are never answered. Calls in progress fail as if the store were unreachable, and their callers repeat them.
   */
  reconnect(): void {
    for (const member of this.#members) {
      member.client.close();
      member.client = member.connect();
    }
  }

  close(): void {
    for (const { client } of this.#members) client.close();
  }

  get #member(): Member {
    return this.#members[this.#current % this.#members.length] ?? this.#members[0];
  }

  #leave(member: Member): void {
    if (this.#member === member) this.#current++;
  }

  async #withToken<T>(
    member: Member,
    signal: AbortSignal,
    ask: (metadata: Metadata) => Promise<T>,
  ): Promise<T> {
    if (!this.#config.login) return ask(new Metadata());
    if (this.#token === undefined) await this.#authenticate(member, signal);
    try {
      return await ask(this.#metadata());
    } catch (error) {
      if (!isStaleToken(error)) throw error;
      this.#token = undefined;
      await this.#authenticate(member, signal);
      return ask(this.#metadata());
    }
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('token', this.#token);
    return metadata;
  }

  /** Several calls that want a token wait for one login: it costs the server a tenth of a second of CPU. */
  #authenticate(member: Member, signal: AbortSignal): Promise<void> {
    const { login } = this.#config;
    if (!login) return Promise.resolve();
    this.#login ??= (async () => {
      const request = { name: login.username, password: passwordOf(login) };
      const metadata = new Metadata();
      const { token } = await unary({ member, method: authenticate, request, metadata, signal });
      this.#token = token;
    })().finally(() => {
      this.#login = undefined;
    });
    return this.#login;
  }
}

function unary<Request extends object, Response>(options: {
  readonly member: Member;
  readonly method: Method<Request, Response>;
  readonly request: Request;
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
}): Promise<Response> {
  const { member, method, request, metadata, signal } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const { path, encode, decode } = method;
    const call = member.client.makeUnaryRequest(
      path,
      encode,
      decode,
      request,
      metadata,
      { deadline: Date.now() + answerMs },
      (error: ServiceError | null, response?: Response) => {
        signal.removeEventListener('abort', cancel);
        if (error) reject(error);
        else if (response !== undefined) resolve(response);
        else reject(new StoreError('away', `etcd ${member.name}: an empty answer`));
      },
    );
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}
