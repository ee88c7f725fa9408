/** Renewals over one stream that stays open: a call each would cost a request's overhead every few seconds. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { StoreError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { leaseKeepAlive } from './methods.ts';

const answerMs = 5000;

interface Answer {
  readonly ID: string;
  readonly TTL: string;
}

export class KeepAlive {
  readonly #connection: Connection;
  #stream: ClientDuplexStream<{ ID: string }, Answer> | undefined;
  #failed: (error: unknown) => StoreError = (error) => new StoreError('away', String(error));
  readonly #waiting = new Map<string, (outcome: number | Error) => void>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Seconds for which the lease is good from the moment of asking; 0 if it has ended. */
  async renew(id: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const stream = this.#stream ?? (await this.#open(signal));
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      return await new Promise<number>((resolve, reject) => {
        const settle = (outcome: number | Error): void => {
          this.#waiting.delete(id);
          if (typeof outcome === 'number') resolve(outcome);
          else reject(outcome);
        };
        this.#waiting.set(id, settle);
        timer = setTimeout(() => this.#end(new Error(`no answer to a renewal for ${answerMs} ms`)), answerMs);
        abort = () => settle(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
        signal.addEventListener('abort', abort, { once: true });
        stream.write({ ID: id });
      });
    } finally {
      clearTimeout(timer);
      if (abort) signal.removeEventListener('abort', abort);
    }
  }

  close(): void {
    this.#end(new Error('closed'));
  }

  async #open(signal: AbortSignal): Promise<ClientDuplexStream<{ ID: string }, Answer>> {
    const { stream, failed } = await this.#connection.stream(leaseKeepAlive, signal);
    this.#stream = stream;
    this.#failed = failed;
    stream.on('data', ({ ID, TTL }: Answer) => this.#waiting.get(ID)?.(Number(TTL)));
    stream.on('error', (error) => {
      if (this.#stream === stream) this.#end(error);
    });
    stream.on('end', () => {
      if (this.#stream === stream) this.#end(new Error('etcd ended the stream of renewals'));
    });
    return stream;
  }

  #end(cause: unknown): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    const error = this.#failed(cause);
    for (const settle of [...this.#waiting.values()]) settle(error);
  }
}
