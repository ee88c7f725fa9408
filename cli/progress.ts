/** What a command waits for, on a terminal, once it has taken a second; erased when it is over. */

const FIRST_MS = 1000;
const PERIOD_MS = 1000;

/** `text` is read again for each line, so that it can count. */
export async function withProgress<T>(text: string | (() => string), work: () => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return await work();
  const since = performance.now();
  const show = (): void => {
    const seconds = Math.round((performance.now() - since) / 1000);
    process.stderr.write(`\r\x1b[K${typeof text === 'string' ? text : text()} (${seconds} s)`);
    shown = true;
  };
  let shown = false;
  let timer = setTimeout(function again() {
    show();
    timer = setTimeout(again, PERIOD_MS);
  }, FIRST_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    if (shown) process.stderr.write('\r\x1b[K');
  }
}
