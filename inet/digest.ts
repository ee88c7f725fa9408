/**
 * SHA-256 (FIPS 180-4, section 6.2), for names that must be short whatever they stand for. Not node:crypto's:
 * loading that takes a process for one CNI call a seventh of its time, and no name here keeps a secret.
 */
export function digestOf(text: string): Buffer {
  const message = padded(Buffer.from(text));
  const state = Int32Array.from(initial);
  const schedule = new Int32Array(64);
  for (let block = 0; block < message.length; block += 64) {
    expand(schedule, message, block);
    compress(state, schedule);
  }
  const digest = Buffer.alloc(32);
  for (const [i, word] of state.entries()) digest.writeInt32BE(word, i * 4);
  return digest;
}

/** A one bit, zeros, and the length in bits, up to whole blocks of 64 bytes (section 5.1.1). */
function padded(message: Buffer): Buffer {
  const result = Buffer.alloc(Math.ceil((message.length + 9) / 64) * 64);
  message.copy(result);
  result[message.length] = 0x80;
  result.writeBigUInt64BE(BigInt(message.length) * 8n, result.length - 8);
  return result;
}

/** The first 32 bits of the fractional parts of the roots of the first primes (sections 4.2.2 and 5.3.3). */
function fractions(count: number, root: (prime: number) => number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => Math.floor((root(prime) % 1) * 2 ** 32) | 0);
}

const initial = fractions(8, Math.sqrt);
const constants = Int32Array.from(fractions(64, Math.cbrt));

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

function expand(schedule: Int32Array, message: Buffer, block: number): void {
  const at = (t: number): number => schedule[t] ?? 0;
  for (let t = 0; t < 16; t++) schedule[t] = message.readInt32BE(block + t * 4);
  for (let t = 16; t < 64; t++) {
    const s0 = rotate(at(t - 15), 7) ^ rotate(at(t - 15), 18) ^ (at(t - 15) >>> 3);
    const s1 = rotate(at(t - 2), 17) ^ rotate(at(t - 2), 19) ^ (at(t - 2) >>> 10);
    schedule[t] = at(t - 16) + s0 + at(t - 7) + s1;
  }
}

function compress(state: Int32Array, schedule: Int32Array): void {
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let t = 0; t < 64; t++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants[t] ?? 0) + (schedule[t] ?? 0)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    // One by one: most who come here run this for the first time, and an array for each round costs them most of it.
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => {
    state[i] = (state[i] ?? 0) + word;
  });
}
