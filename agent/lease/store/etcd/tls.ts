/**
 * TLS to one of etcd's members. gRPC's own credentials put the host into the handshake as the server's name, which
 * RFC 6066 section 3 forbids for an address (and Node.js warns of); the certificate is compared with it all the
 * same.
 */
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import { CallCredentials, ChannelCredentials, credentials } from '@grpc/grpc-js';
import type { EtcdStoreConfig } from '../../../config/config.ts';
import { StoreError, textOf } from '../../errors.ts';
import { readSecret } from './secret.ts';

/** Credentials for each host. Throws `StoreError` `refused` if a file cannot be read or is no certificate or key. */
export function channelCredentials({
  tls,
  endpoints,
}: EtcdStoreConfig): (host: string) => ChannelCredentials {
  if (!endpoints.some(({ secure }) => secure)) return () => credentials.createInsecure();
  const { caFile, client } = tls ?? {};
  const pem = {
    ...(caFile === undefined ? {} : { ca: readSecret(caFile) }),
    ...(client ? { cert: readSecret(client.certFile), key: readSecret(client.keyFile) } : {}),
  };
  const context = secureContext(pem, [caFile, client?.certFile, client?.keyFile]);
  return (host) => new MemberCredentials(context, host);
}

class MemberCredentials extends ChannelCredentials {
  readonly #context: SecureContext;
  readonly #host: string;

  constructor(context: SecureContext, host: string) {
    super();
    this.#context = context;
    this.#host = host;
  }

  _isSecure(): boolean {
    return true;
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  _createSecureConnector() {
    return {
      connect: async (socket: Socket) => ({ socket: await this.#handshake(socket), secure: true }),
      waitForReady: async () => undefined,
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  #handshake(plain: Socket): Promise<Socket> {
    const host = this.#host;
    return new Promise((resolve, reject) => {
      const socket = connect({
        socket: plain,
        host,
        ...(isIP(host) ? {} : { servername: host }),
        secureContext: this.#context,
        ALPNProtocols: ['h2'],
      });
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed during the TLS handshake')));
    });
  }
}

function secureContext(
  pem: Parameters<typeof createSecureContext>[0],
  files: readonly (string | undefined)[],
): SecureContext {
  try {
    return createSecureContext(pem);
  } catch (error) {
    const named = files.filter((file) => file !== undefined).join(', ');
    throw new StoreError('refused', `etcd: ${named} cannot be used for TLS: ${textOf(error)}`);
  }
}
