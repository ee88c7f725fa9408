/**
 * Where the CNI socket comes from: from systemd, which keeps callers waiting while the agent restarts
 * (sd_listen_fds(3)), or made here, in place of one that an earlier agent left.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { close, getSocketOption } from '../../kernel/ffi.ts';
import { listenUnix } from '../../kernel/unix-stream.ts';
import { AgentError } from '../errors.ts';

const FIRST_PASSED_FD = 3;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const AF_UNIX = 1;
/** The kernel cuts it to net.core.somaxconn. A caller that finds it full waits. */
const backlog = 4096;

/** What a service manager says in the environment; consumed, so that no child believes it is meant. */
export function takePassedSocket(env: NodeJS.ProcessEnv): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = env;
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  if (Number(pid) !== process.pid || !(Number(count) >= 1)) return undefined;
  if (Number(count) > 1) {
    throw new AgentError(
      'listen',
      `the service manager passes ${count} sockets: pass one, for the CNI socket`,
    );
  }
  const listening = [SO_DOMAIN, SO_ACCEPTCONN].map((option) =>
    getSocketOption(FIRST_PASSED_FD, SOL_SOCKET, option, 4).readInt32LE(0),
  );
  if (listening[0] !== AF_UNIX || listening[1] !== 1) {
    throw new AgentError(
      'listen',
      'the socket passed by the service manager is not a listening Unix stream socket',
    );
  }
  return FIRST_PASSED_FD;
}

/**
 * Makes the socket at `path`, for its owner only. It appears there by rename and with its mode: nobody ever
 * finds it half made, and whoever is connected to an older one stays so. Returns its descriptor.
 *
 * @throws AgentError `listen` where another agent answers at the path
 */
export async function listenAt(path: string): Promise<number> {
  mkdirSync(dirname(path), { recursive: true });
  if (await answers(path)) {
    throw new AgentError('listen', `another weftd listens on ${path}: stop it first`);
  }
  const made = `${path}.${process.pid}`;
  rmSync(made, { force: true });
  const umask = process.umask(0o177);
  let fd: number;
  try {
    fd = listenUnix(made, backlog);
  } finally {
    process.umask(umask);
  }
  try {
    renameSync(made, path);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      // Its queue is full: somebody has it, and is busy.
      else if (error.code === 'EAGAIN') resolve(true);
      else
        reject(new AgentError('listen', `failed to connect to ${path}: ${error.message}`, { cause: error }));
    });
  });
}
