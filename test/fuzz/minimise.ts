/** The smallest call that still shows what a large one showed. */
import type { FuzzCall } from './calls.ts';

/** Tries shorter calls for as long as one of them still `fails`; at most `tries` of them. */
export async function minimise(
  call: FuzzCall,
  options: { fails: (call: FuzzCall) => Promise<boolean>; tries: number },
): Promise<FuzzCall> {
  let smallest = call;
  let left = options.tries;
  for (let shrunk = true; shrunk; ) {
    shrunk = false;
    for (const candidate of shorter(smallest)) {
      if (left-- <= 0) return smallest;
      if (!(await options.fails(candidate))) continue;
      smallest = candidate;
      shrunk = true;
      break;
    }
  }
  return smallest;
}

/** Each with one thing less, the largest losses first. */
function* shorter(call: FuzzCall): Generator<FuzzCall> {
  for (const key of Object.keys(call.env)) {
    if (key === 'CNI_COMMAND') continue;
    const { [key]: value = '', ...env } = call.env;
    yield { ...call, env };
    if (value.length > 20) yield { ...call, env: { ...env, [key]: value.slice(0, value.length / 2) } };
  }
  const text = Buffer.from(call.stdin).toString('latin1');
  const value = parse(Buffer.from(call.stdin).toString('utf8'));
  if (value === undefined) {
    for (let length = Math.ceil(text.length / 2); length >= 1; length = Math.floor(length / 2)) {
      for (let at = 0; at < text.length; at += length) {
        yield { ...call, stdin: Buffer.from(text.slice(0, at) + text.slice(at + length), 'latin1') };
      }
    }
  } else {
    for (const less of lesser(value)) yield { ...call, stdin: Buffer.from(JSON.stringify(less)) };
  }
}

/** The value without one of its parts, at whatever depth. */
function* lesser(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    if (value.length > 8) yield value.slice(0, value.length / 2);
    for (const [i, each] of value.slice(0, 8).entries()) {
      yield value.filter((_, at) => at !== i);
      for (const less of lesser(each)) yield value.map((other, at) => (at === i ? less : other));
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      const rest = Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      yield rest;
      for (const less of lesser(each)) yield { ...rest, [key]: less };
    }
  } else if (typeof value === 'string' && value.length > 20) {
    yield value.slice(0, value.length / 2);
  }
}

/** Undefined also for what is too large to be taken apart key by key. */
function parse(text: string): unknown {
  if (text.length > 20_000) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
