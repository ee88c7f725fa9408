/**
 * The probe's datagram: 16 bytes, and padding where the size of the path is what is asked.
 *
 *     "weft" | version 1 | kind | 2 zero bytes | 8 bytes that only the asker knows
 *
 * An answer is the question with another kind and without the padding: never more bytes than were sent.
 */
const MAGIC = 0x77656674;
const VERSION = 1;
export const PROBE_BYTES = 16;

export type ProbeKind = 'ask' | 'answer';
const kinds = { ask: 1, answer: 2 } as const;

export interface Probe {
  readonly kind: ProbeKind;
  /** 64 random bits, as hexadecimal digits. */
  readonly token: string;
}

/** `sizeBytes`: of the whole datagram, padded with zeros. */
export function encodeProbe(probe: Probe, sizeBytes: number = PROBE_BYTES): Buffer {
  const bytes = Buffer.alloc(Math.max(sizeBytes, PROBE_BYTES));
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt8(VERSION, 4);
  bytes.writeUInt8(kinds[probe.kind], 5);
  bytes.write(probe.token, 8, 8, 'hex');
  return bytes;
}

/** Undefined for what is no probe of this version. */
export function decodeProbe(bytes: Buffer): Probe | undefined {
  if (bytes.length < PROBE_BYTES || bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt8(4) !== VERSION) {
    return undefined;
  }
  const kind = (Object.keys(kinds) as ProbeKind[]).find((name) => kinds[name] === bytes.readUInt8(5));
  return kind && { kind, token: bytes.toString('hex', 8, PROBE_BYTES) };
}
