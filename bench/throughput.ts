/** How many bits of IP packets arrive per second on a path that lets only so many through. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** What iperf3 counts, of an MTU of 1500 less TCP's 52 bytes of headers; and with the headers of IP. */
const PAYLOAD_BYTES = 1448;
const packetBytes = { udp: PAYLOAD_BYTES + 28, tcp: PAYLOAD_BYTES + 52 };

/** The first is left out: buckets are full then, and TCP is not up to speed. */
const FIRST_SECONDS = 1;

/** Ahead of whatever else the machine does: a sender that is kept waiting leaves the queue empty. */
const iperf3 = ['nice', '-n', '-15', 'iperf3'];

export interface Path {
  /** What to put before a command so that it runs at the end that serves, and at the other. */
  readonly server: readonly string[];
  readonly client: readonly string[];
  /** The server's; between the ends the MTU is 1500. */
  readonly address: string;
  /** The server sends. */
  readonly reverse: boolean;
  readonly bitsPerSecond: number;
  readonly seconds: number;
}

/**
 * As iperf3's receiver counts them. Datagrams at twice the rate keep the queue full; at a gigabit a machine may not
 * have the time for so many, TCP has.
 */
export async function throughput(path: Path): Promise<number> {
  const { address, reverse, bitsPerSecond, seconds } = path;
  const udp = bitsPerSecond < 5e8;
  const server = start([...path.server, ...iperf3, '-s', '-1', '--forceflush']);
  await once(server.stdout, 'data');
  const client = start([
    ...[...path.client, ...iperf3, '-c', address, '-J'],
    ...['-t', `${seconds}`, '-O', `${FIRST_SECONDS}`],
    ...(udp ? ['-u', '-b', `${2 * bitsPerSecond}`, '-l', `${PAYLOAD_BYTES}`] : []),
    ...(reverse ? ['-R'] : []),
  ]);
  const report = await text(client.stdout);
  server.kill();
  const { end, error } = JSON.parse(report);
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const payload: number = (end.sum_received ?? end.sum).bits_per_second;
  return (payload * packetBytes[udp ? 'udp' : 'tcp']) / PAYLOAD_BYTES;
}

const start = ([command = '', ...args]: readonly string[]) =>
  spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
