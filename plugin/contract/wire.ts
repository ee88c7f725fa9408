/**
 * The CNI socket's request and response, wire format version 1 (docs/architecture.md): what the relay and the agent
 * send each other. Bounded: a request beyond a limit is refused before the excess is kept.
 *
 * What a call names by path (CNI_NETNS, resolvConf, dataDir) a relay opens where its caller sees it, and sends the
 * descriptors with the first byte. Relays of 0.1.0 send zeros in bytes 5 to 7 and no descriptor, agents of 0.1.0 look
 * at neither.
 */
import { constants } from 'node:os';
import type { OpenedName, OpenedNames, PluginAnswer, PluginCall } from '../protocol/call.ts';

export const wireVersion = 1;
/** Of the request's environment block, and of its stdin or a response's stdout and stderr together. */
export const limits = { environmentBytes: 64 * 1024, bodyBytes: 4 * 1024 * 1024 } as const;

const magic = Buffer.from('WEFT');
export const headerBytes = 16;

/** The bits of a request's byte 5 for names that were opened, in the order of the descriptors; shifted by 4: failed. */
const nameBits = { netns: 1, resolvConf: 2, dataDir: 4 } as const;
const FAILED_SHIFT = 4;

/** Bytes on the socket that are no request, or one in a version that this agent does not speak. */
export class WireError extends Error {
  override readonly name = 'WireError';
  /** The speaker is a relay, but of another version: the header, which never changes, can carry the answer. */
  readonly otherVersion: boolean;

  constructor(message: string, options: { otherVersion?: boolean } = {}) {
    super(message);
    this.otherVersion = options.otherVersion ?? false;
  }
}

interface Header {
  readonly environmentBytes: number;
  readonly bodyBytes: number;
  /** Undefined where the relay opens nothing. */
  readonly names: { readonly opened: number; readonly failed: number; readonly errno: number } | undefined;
}

/** Takes a request's bytes as they arrive. */
export class RequestReader {
  readonly #chunks: Buffer[] = [];
  readonly #fds: readonly number[];
  #received = 0;
  #header: Header | undefined;

  /** `fds`: the descriptors that come with the request, filled by the caller, which closes them. */
  constructor(fds: readonly number[] = []) {
    this.#fds = fds;
  }

  /** Whether anything has arrived. */
  get begun(): boolean {
    return this.#received > 0;
  }

  /**
   * The call, once its last byte is there; undefined before.
   *
   * @throws WireError if this cannot become a request any more.
   */
  push(chunk: Buffer): PluginCall | undefined {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    if (!this.#header) {
      if (this.#received < headerBytes) return undefined;
      this.#header = readHeader(this.#bytes());
    }
    const { environmentBytes, bodyBytes } = this.#header;
    const whole = headerBytes + environmentBytes + bodyBytes;
    if (this.#received < whole) return undefined;
    if (this.#received > whole) throw new WireError(`${this.#received - whole} bytes follow the request`);
    const bytes = this.#bytes();
    const body = headerBytes + environmentBytes;
    const env = readEnvironment(bytes.subarray(headerBytes, body));
    const opened = openedNames(this.#header, this.#fds);
    return { env, stdin: bytes.subarray(body), ...(opened && { opened }) };
  }

  #bytes(): Buffer {
    const [first, ...rest] = this.#chunks;
    if (first && rest.length === 0) return first;
    const whole = Buffer.concat(this.#chunks);
    this.#chunks.splice(0, this.#chunks.length, whole);
    return whole;
  }
}

function readHeader(bytes: Buffer): Header {
  if (!bytes.subarray(0, magic.length).equals(magic))
    throw new WireError('no request: it does not begin with WEFT');
  const version = bytes.readUInt8(4);
  if (version !== wireVersion) {
    const message = `the relay speaks wire format ${version}, this agent ${wireVersion}: install both of one version`;
    throw new WireError(message, { otherVersion: true });
  }
  const [bits = 0, errno = 0, speaks = 0] = bytes.subarray(5, 8);
  const header: Header = {
    environmentBytes: bytes.readUInt32LE(8),
    bodyBytes: bytes.readUInt32LE(12),
    names: speaks === 1 ? { opened: bits & 0xf, failed: bits >> FAILED_SHIFT, errno } : undefined,
  };
  if (header.environmentBytes > limits.environmentBytes || header.bodyBytes > limits.bodyBytes) {
    throw new WireError(`a request of ${header.environmentBytes} + ${header.bodyBytes} bytes is too large`);
  }
  return header;
}

/** Whether a header is of a relay that opens names and understands `notDone`. */
export const opensNames = (header: Buffer): boolean => header.length >= headerBytes && header[7] === 1;

/** What the relay says of each name, with the descriptors in its order. */
function openedNames({ names }: Header, fds: readonly number[]): OpenedNames | undefined {
  if (!names) return undefined;
  const order = (['netns', 'resolvConf', 'dataDir'] as const).filter((name) => names.opened & nameBits[name]);
  if (fds.length < order.length) {
    throw new WireError(`${fds.length} descriptors came with a request that has ${order.length}`);
  }
  const stateOf = (name: keyof typeof nameBits): OpenedName | undefined => {
    const fd = order.includes(name) ? fds[order.indexOf(name)] : undefined;
    if (fd !== undefined) return { fd };
    if (!(names.failed & nameBits[name])) return undefined;
    return { failed: name === 'netns' ? errnoName(names.errno) : 'EIO' };
  };
  return { netns: stateOf('netns'), resolvConf: stateOf('resolvConf'), dataDir: stateOf('dataDir') };
}

const errnoName = (errno: number): string =>
  Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;

function readEnvironment(block: Buffer): Record<string, string> {
  if (block.length > 0 && block.at(-1) !== 0)
    throw new WireError('the environment block does not end with NUL');
  const variables = block.toString('utf8').split('\0').slice(0, -1);
  return Object.fromEntries(
    variables.map((variable) => {
      const equals = variable.indexOf('=');
      if (equals < 1) throw new WireError('a variable in the environment block has no name or no value');
      return [variable.slice(0, equals), variable.slice(equals + 1)];
    }),
  );
}

/** A whole request from its bytes, as a deferred DEL has it: without descriptors. @throws WireError */
export function decodeRequest(bytes: Buffer): PluginCall {
  const plain = Buffer.from(bytes);
  if (plain.length >= headerBytes) plain.fill(0, 5, 8);
  const call = new RequestReader().push(plain);
  if (!call) throw new WireError(`a request of ${bytes.length} bytes is incomplete`);
  return call;
}

/** The request of a relay that opens no names (0.1.0), without descriptors. */
export function encodeRequest(call: PluginCall): Buffer {
  const variables = Object.entries(call.env).map(([key, value]) => `${key}=${value}\0`);
  const environment = Buffer.from(variables.join(''));
  return Buffer.concat([header(0, environment.length, call.stdin.length), environment, call.stdin]);
}

/**
 * `notDone`: the agent has done nothing, and the relay may run the standalone plugin instead.
 *
 * @throws RangeError if stdout alone is more than a relay takes; stderr is cut to what it takes.
 */
export function encodeAnswer(answer: PluginAnswer, options: { notDone?: boolean } = {}): Buffer {
  const stdout = Buffer.from(answer.stdout);
  if (stdout.length > limits.bodyBytes)
    throw new RangeError(`an answer of ${stdout.length} bytes is too large`);
  const stderr = Buffer.from(answer.stderr).subarray(0, limits.bodyBytes - stdout.length);
  const head = header(answer.status, stdout.length, stderr.length);
  if (options.notDone) head.writeUInt8(1, 6);
  return Buffer.concat([head, stdout, stderr]);
}

/** A whole response from its bytes. @throws WireError */
export function decodeAnswer(bytes: Buffer): PluginAnswer {
  if (
    bytes.length < headerBytes ||
    !bytes.subarray(0, magic.length).equals(magic) ||
    bytes[4] !== wireVersion
  ) {
    throw new WireError(`${bytes.length} bytes are no response in wire format ${wireVersion}`);
  }
  const body = headerBytes + bytes.readUInt32LE(8);
  const end = body + bytes.readUInt32LE(12);
  if (end !== bytes.length) throw new WireError(`a response of ${end} bytes has ${bytes.length}`);
  return {
    status: bytes.readUInt8(5),
    stdout: bytes.toString('utf8', headerBytes, body),
    stderr: bytes.toString('utf8', body, end),
  };
}

/** `status` is zero in a request, and the two lengths are of what follows, in its order. */
function header(status: number, first: number, second: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  magic.copy(bytes);
  bytes.writeUInt8(wireVersion, 4);
  bytes.writeUInt8(status, 5);
  bytes.writeUInt32LE(first, 8);
  bytes.writeUInt32LE(second, 12);
  return bytes;
}
