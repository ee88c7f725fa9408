/**
 * TLS to one of etcd's members. gRPC's own credentials put the host into the handshake as the server's name, which
 * RFC 6066 section 3 forbids for an address (and Node.js warns of); the certificate is compared with it all the
 * same. They also read the files once, where certificates are renewed in place.
 */
import { existsSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import { CallCredentials, ChannelCredentials, credentials } from '@grpc/grpc-js';
import type { EtcdStoreConfig } from '../../../config/config.ts';
import { StoreError, textOf } from '../../errors.ts';
import { readSecret } from './secret.ts';
import { tlsFault } from './tls-faults.ts';

export interface MemberSecurity {
  readonly credentials: ChannelCredentials;
  /** What the last handshake failed with, by side; undefined where it did not, or not for a certificate. */
  readonly fault: () => string | undefined;
}

/** Security for each host. Throws `StoreError` `refused` if a file cannot be read or is no certificate or key. */
export function memberSecurity({ tls, endpoints }: EtcdStoreConfig): (host: string) => MemberSecurity {
  if (!endpoints.some(({ secure }) => secure)) {
    return () => ({ credentials: credentials.createInsecure(), fault: () => undefined });
  }
  const files = new TlsFiles(tls ?? { caFile: undefined, client: undefined });
  files.read();
  return (host) => {
    const member = new MemberCredentials(files, host);
    return { credentials: member, fault: () => member.fault };
  };
}

/** The files as they are now. */
class TlsFiles {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly #keyFile: string | undefined;
  #known:
    | { readonly text: string; readonly context: SecureContext; readonly cert: string | undefined }
    | undefined;

  constructor({ caFile, client }: NonNullable<EtcdStoreConfig['tls']>) {
    this.caFile = caFile;
    this.certFile = client?.certFile;
    this.#keyFile = client?.keyFile;
  }

  /** Throws `StoreError` `refused`; the same context while the files are the same. */
  read(): { readonly context: SecureContext; readonly cert: string | undefined } {
    const authorities = this.caFile ?? systemAuthorities();
    const [ca, cert, key] = [authorities, this.certFile, this.#keyFile].map((file) =>
      file === undefined ? undefined : readSecret(file),
    );
    const text = JSON.stringify([ca, cert, key]);
    if (this.#known?.text === text) return this.#known;
    const named = [authorities, this.certFile, this.#keyFile].filter((file) => file !== undefined).join(', ');
    try {
      this.#known = { text, cert, context: createSecureContext({ ca, cert, key }) };
      return this.#known;
    } catch (error) {
      throw new StoreError('refused', `etcd: failed to use ${named} for TLS: ${textOf(error)}`);
    }
  }

  /** While a certificate is renewed, it and its key may not belong together for a moment: then those of before. */
  current(): { readonly context: SecureContext; readonly cert: string | undefined } {
    try {
      return this.read();
    } catch (error) {
      if (this.#known) return this.#known;
      throw error;
    }
  }
}

/** Where distributions keep the system's authorities, and what OpenSSL and Go let the environment say instead. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Undefined where this system has none: then those that Node.js brings along. */
const systemAuthorities = (): string | undefined =>
  process.env.SSL_CERT_FILE || bundles.find((path) => existsSync(path));

class MemberCredentials extends ChannelCredentials {
  readonly #files: TlsFiles;
  readonly #host: string;
  fault: string | undefined;

  constructor(files: TlsFiles, host: string) {
    super();
    this.#files = files;
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
    this.fault = undefined;
    const { context, cert } = this.#files.current();
    return new Promise((resolve, reject) => {
      const socket = connect({
        socket: plain,
        host,
        ...(isIP(host) ? {} : { servername: host }),
        secureContext: context,
        ALPNProtocols: ['h2'],
      });
      socket.once('secureConnect', () => resolve(socket));
      // With TLS 1.3 the server refuses our certificate after the handshake, so this is listened to all along.
      socket.on('error', (error) => {
        this.#note(error, cert);
        reject(error);
      });
      socket.once('close', () => reject(new Error('the connection was closed during the TLS handshake')));
    });
  }

  #note(error: Error, cert: string | undefined): void {
    const { caFile, certFile } = this.#files;
    this.fault = tlsFault(error, { host: this.#host, caFile, certFile, cert, nowMs: Date.now() });
  }
}
