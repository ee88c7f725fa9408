/** The lines of an answer of Docker's: JSON, one value a line. */
import { StringDecoder } from 'node:string_decoder';

/** Far more than any line of Docker's has; a longer one is dropped. */
const longestLine = 1 << 20;

/** Throws what reading the stream throws; the last line may be a part of one if the connection broke. */
export async function* linesOf(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decoder.write(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) rest = '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}
