/** Whether the agent is there, for a process that is not the agent. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { CniError } from '../errors.ts';

/** @throws CniError not-available where nobody listens on the agent's socket. */
export function checkAgent(runDir: string): Promise<void> {
  const path = join(runDir, 'cni.sock');
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', ({ message }) => {
      reject(
        new CniError(
          'not-available',
          `the agent is away: ${message}`,
          'pods are still attached, but no peer is learned and nothing is repaired: see that weftd runs',
        ),
      );
    });
  });
}
