/** A CNI server on a socket of its own, and callers of every kind. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenAt } from '../../../agent/serve/cni-listen.ts';
import { CniServer, type CniServerOptions } from '../../../agent/serve/cni-server.ts';
import { decodeAnswer, encodeRequest } from '../../../plugin/contract/wire.ts';
import type { PluginAnswer, PluginCall } from '../../../plugin/protocol/call.ts';

export interface TestAgent {
  readonly server: CniServer;
  readonly path: string;
  /** What the server logged: events. */
  readonly events: string[];
}

export const done: PluginAnswer = { status: 0, stdout: '', stderr: '' };

export async function withAgent(
  options: Partial<CniServerOptions>,
  test: (agent: TestAgent) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-cni-'));
  const path = join(directory, 'cni.sock');
  const events: string[] = [];
  const note = (event: string) => void events.push(event);
  const server = new CniServer({ answer: async () => done, log: { warn: note, error: note }, ...options });
  try {
    server.listen(await listenAt(path));
    await test({ server, path, events });
  } finally {
    await server.drain(0);
    rmSync(directory, { recursive: true });
  }
}

/** A call as a runtime's; what is given is added to the environment. */
export const callOf = (env: Record<string, string> = {}): PluginCall => ({
  env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', ...env },
  stdin: Buffer.from('{"name":"weft"}'),
});

export interface Caller {
  readonly socket: Socket;
  /** All that came before the end; rejects with what the kernel says otherwise. */
  readonly received: Promise<Buffer>;
}

export function dial(path: string): Caller {
  const socket = connect(path);
  const received = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks)));
  });
  received.catch(() => {}); // a caller that is to vanish does not look
  return { socket, received };
}

/** Sends bytes as they are; resolves to all that came back. */
export function send(path: string, bytes: Uint8Array): Promise<Buffer> {
  const { socket, received } = dial(path);
  socket.write(bytes);
  return received;
}

export const ask = async (path: string, call: PluginCall): Promise<PluginAnswer> =>
  decodeAnswer(await send(path, encodeRequest(call)));

/** Something that a test lets happen when it is ready for it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Resolves once the event loop has made it true. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
