/** Docker on this host: the connection, and its refusals in words. */
import type { Readable } from 'node:stream';
import Dockerode from 'dockerode';
import { errnoOf } from '../../kernel/errno.ts';
import { reasonOf } from '../../problem/reason.ts';
import { PodError } from '../errors.ts';

/** Docker is unreachable: the request may be repeated once it is reachable. */
export class DockerUnreachable extends PodError {
  constructor(socket: string, cause: unknown) {
    super(
      'docker',
      `Docker is unreachable on ${socket} (${errnoOf(cause) ?? reasonOf(cause)}); start it (systemctl ` +
        `start docker), or set its socket with DOCKER_HOST=unix://PATH`,
      { cause },
    );
  }
}

const statusCodes = { 200: true, 404: 'not found', 500: 'server error' } as const;

const defaultSocket = '/var/run/docker.sock';

/** The socket that `DOCKER_HOST` names, else the usual one. Pods are on this host, so Docker is too. */
export function socketOf(env: NodeJS.ProcessEnv): string {
  const named = env.DOCKER_HOST;
  if (!named) return defaultSocket;
  if (named.startsWith('unix://')) return named.slice('unix://'.length) || defaultSocket;
  throw new PodError(
    'docker',
    `unsupported DOCKER_HOST ${named} (supported: unix://PATH); unset it, or set the path of a socket`,
  );
}

export class Docker {
  readonly api: Dockerode;
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
    this.api = new Dockerode({ socketPath: socket });
  }

  /**
   * Makes a request; `what` names it in messages (`start the container web`).
   *
   * @throws DockerUnreachable, or PodError `docker` with Docker's words
   */
  async ask<T>(what: string, request: (api: Dockerode) => Promise<T>): Promise<T> {
    try {
      return await request(this.api);
    } catch (error) {
      throw this.refusal(what, error);
    }
  }

  /** The same; undefined where the thing is absent (404) or already so (304). */
  async askIfThere<T>(what: string, request: (api: Dockerode) => Promise<T>): Promise<T | undefined> {
    try {
      return await request(this.api);
    } catch (error) {
      if ([304, 404].includes(statusOf(error) ?? 0)) return undefined;
      throw this.refusal(what, error);
    }
  }

  /**
   * GET of an answer without end, or of any size: dockerode reads others whole into memory.
   *
   * @throws as {@link ask}
   */
  stream(what: string, of: { path: string; query: object }): Promise<Readable> {
    const dial = { path: of.path, method: 'GET', options: of.query, isStream: true, statusCodes };
    return this.ask(
      what,
      (api) =>
        new Promise((resolve, reject) => {
          api.modem.dial(dial, (error, answer) => {
            if (error) reject(error);
            else resolve(answer as Readable);
          });
        }),
    );
  }

  refusal(what: string, error: unknown): Error {
    if (error instanceof PodError || isAbort(error)) return error as Error;
    if (statusOf(error) === undefined && isConnection(error))
      return new DockerUnreachable(this.#socket, error);
    if (leaving.test(wordsOf(error))) return new DockerUnreachable(this.#socket, error);
    return new PodError('docker', `failed to ${what}: ${wordsOf(error)}`, { cause: error });
  }
}

export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

const connectionCodes: ReadonlySet<string> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EACCES',
  'ENOTSOCK',
]);

/** A daemon that is being stopped answers for a while, and has lost what it answers by. */
const leaving = /containerd\.sock|daemon is shutting down|transport is closing|context canceled/;

const isConnection = (error: unknown): boolean => connectionCodes.has(errnoOf(error) ?? '');

/** Docker's own words, without the status line that dockerode puts before them. */
function wordsOf(error: unknown): string {
  const said = error instanceof Error && 'json' in error ? error.json : undefined;
  if (typeof said === 'object' && said !== null && 'message' in said && typeof said.message === 'string') {
    return reasonOf(said.message);
  }
  return reasonOf(error);
}
