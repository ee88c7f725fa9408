/**
 * Docker's multiplexed streams (API, "Attach to a container"): frames of an 8-byte header, whose first byte names
 * the stream and whose last four hold the length, and that many bytes. A frame is passed on as it arrives, and no
 * further one is read before it was taken: memory stays bounded however much a container writes.
 */
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { PodError } from '../errors.ts';

const HEADER = 8;

export interface Outputs {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * Resolves at the end of the stream.
 *
 * @throws PodError `docker` where it has no frames; errors of reading and writing
 */
export async function copyFrames(stream: AsyncIterable<Buffer | string>, outputs: Outputs): Promise<void> {
  let header = Buffer.alloc(0);
  let left = 0;
  let output = outputs.stdout;
  for await (const piece of stream) {
    let chunk = typeof piece === 'string' ? Buffer.from(piece) : piece;
    while (chunk.length > 0) {
      if (left > 0) {
        const part = chunk.subarray(0, left);
        left -= part.length;
        chunk = chunk.subarray(part.length);
        await write(output, part);
        continue;
      }
      const missing = HEADER - header.length;
      header = Buffer.concat([header, chunk.subarray(0, missing)]);
      chunk = chunk.subarray(missing);
      if (header.length < HEADER) continue;
      output = outputOf(header.readUInt8(0), outputs);
      left = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  }
}

function outputOf(kind: number, { stdout, stderr }: Outputs): Writable {
  if (kind === 2) return stderr;
  if (kind <= 1) return stdout;
  throw new PodError('docker', `unexpected stream type ${kind} in an answer of Docker`);
}

async function write(output: Writable, part: Buffer): Promise<void> {
  if (!output.write(part)) await once(output, 'drain');
}

/** Keeps the first bytes of what is written, and drops the rest. */
export class Beginning extends Writable {
  readonly #most: number;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(mostBytes: number) {
    super();
    this.#most = mostBytes;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const part = chunk.subarray(0, this.#most - this.#length);
    if (part.length > 0) this.#chunks.push(Buffer.from(part));
    this.#length += part.length;
    done();
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
