/**
 * A process inside a network namespace that serves and asks as told, one JSON command per line. What a server
 * answers is whom it saw: so an address translated on the way shows.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import type { Ask, Command, Outcome, Serve } from './commands.ts';

async function carryOut(command: Command): Promise<Outcome> {
  if (command.op === 'serve') return command.protocol === 'tcp' ? serveTcp(command) : serveUdp(command);
  return command.protocol === 'tcp' ? askTcp(command) : askUdp(command);
}

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

function serveTcp({ host, port }: Serve): Promise<Outcome> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(plain(socket.remoteAddress));
  });
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }));
    server.listen({ host, port, ipv6Only: isIPv6(host) }, () => resolve({}));
  });
}

function serveUdp({ host, port }: Serve): Promise<Outcome> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
  socket.on('message', (_, from) => socket.send(plain(from.address), from.port, from.address));
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }));
    socket.bind(port, host, () => resolve({}));
  });
}

function askTcp({ host, port, from, timeoutMs }: Ask): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
    let answer = '';
    const finish = (outcome: Outcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => finish({ error: 'ETIMEDOUT' }));
    socket.on('error', (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }));
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('end', () => finish({ answer }));
  });
}

function askUdp({ host, port, from, fromPort, timeoutMs, payload }: Ask): Promise<Outcome> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
  return new Promise((resolve) => {
    const finish = (outcome: Outcome) => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish({ error: 'ETIMEDOUT' }), timeoutMs);
    socket.on('error', (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }));
    socket.on('message', (data) => finish({ answer: data.toString() }));
    socket.bind(fromPort ?? 0, from, () => socket.send(Buffer.from(payload ?? '00', 'hex'), port, host));
  });
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, command }: { id: number; command: Command } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id, outcome: await carryOut(command) })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 0, outcome: {} })}\n`);
