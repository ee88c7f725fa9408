/** A runtime's daemon on a node of the lab, in the foreground of a child of ours. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from '../../lab/errors.ts';
import type { LabNode } from '../../lab/node.ts';

const listensWithinMs = 30_000;

export class Daemon {
  readonly #over: Promise<void>;
  readonly #stop: AbortController;

  private constructor(over: Promise<void>, stop: AbortController) {
    this.#over = over;
    this.#stop = stop;
  }

  /** Starts it and waits until it listens. `socket` is the path inside the node. Throws `LabError` with its log if it ends. */
  static async start(request: {
    node: LabNode;
    argv: readonly string[];
    socket: string;
    env?: NodeJS.ProcessEnv;
  }): Promise<Daemon> {
    const { node, argv, socket, env = process.env } = request;
    const stop = new AbortController();
    let failure: LabError | undefined;
    const over = node.exec(argv, { signal: stop.signal, env }).then(
      ({ status, stderr }) => {
        failure = new LabError(`${argv[0]} ended with status ${status}: ${stderr.slice(-2000)}`);
      },
      (error) => {
        if (!stop.signal.aborted) failure = error;
      },
    );
    for (const since = Date.now(); !(await listens(node.path(socket))); await delay(10)) {
      if (failure) throw failure;
      if (Date.now() - since > listensWithinMs) {
        stop.abort();
        throw new LabError(`${argv[0]} does not listen on ${socket} after ${listensWithinMs / 1000} s`);
      }
    }
    return new Daemon(over, stop);
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#over;
  }

  /** Its children are the caller's to end before. */
  async kill(): Promise<void> {
    this.#stop.abort();
    await this.#over;
  }
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
