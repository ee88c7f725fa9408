/**
 * A name server over UDP, for tests: `node name-server.js ADDRESS`. Whatever is asked is answered by one TXT record:
 * who asked, as the server saw it, and for names that begin with `large` so much more that the answer has to be cut
 * into fragments on its way. Prints a line once it listens.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const HEADER_BYTES = 12;
const TXT = 16;
const IN = 1;
/** QR, RD, RA (RFC 1035, section 4.1.1). */
const ANSWER = 0x8180;
/** Two packets of nearly every link. */
const LARGE_BYTES = 2000;
const STRING_BYTES = 250;

function answer(query: Buffer, asker: string): Buffer {
  let end = HEADER_BYTES;
  for (let length = query[end]; length; length = query[end]) end += length + 1;
  const question = query.subarray(HEADER_BYTES, end + 5);
  const large = question.subarray(1, 6).toString() === 'large';
  const texts = [asker, ...Array.from({ length: large ? LARGE_BYTES / STRING_BYTES : 0 }, filling)];
  const data = Buffer.concat(texts.map((text) => Buffer.from([text.length, ...Buffer.from(text)])));
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(query.subarray(0, 2));
  header.writeUInt16BE(ANSWER, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 6);
  const record = Buffer.alloc(12);
  // The name is the question's.
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  record.writeUInt16BE(TXT, 2);
  record.writeUInt16BE(IN, 4);
  record.writeUInt16BE(data.length, 10);
  return Buffer.concat([header, question, record, data]);
}

const filling = (): string => 'x'.repeat(STRING_BYTES);

const address = process.argv[2] ?? '';
const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
socket.on('message', (query, from) => socket.send(answer(query, from.address), from.port, from.address));
socket.bind(53, address, () => process.stdout.write('listens\n'));
