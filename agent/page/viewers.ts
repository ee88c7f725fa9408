/** Who looks at the page: server-sent events, as long as anybody does. */
import type { ServerResponse } from 'node:http';
import type { PageSources } from './sources.ts';
import { pageState } from './state.ts';

const MOST_VIEWERS = 8;
const PERIOD_MS = 2_000;
/** A browser that reads slower than this is asked to come again. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;

export class Viewers {
  readonly #sources: PageSources;
  readonly #responses = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  constructor(sources: PageSources) {
    this.#sources = sources;
    sources.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  get isFull(): boolean {
    return this.#responses.size >= MOST_VIEWERS;
  }

  /** The first state is sent at once. */
  readonly add = (response: ServerResponse): void => {
    this.#responses.add(response);
    response.on('close', () => this.#responses.delete(response));
    response.write('retry: 2000\n\n');
    clearTimeout(this.#timer);
    void this.#send();
  };

  async #send(): Promise<void> {
    const data = `data: ${JSON.stringify(await pageState(this.#sources))}\n\n`;
    for (const response of this.#responses) {
      if (response.writableLength > MOST_WAITING_BYTES) response.destroy();
      else response.write(data);
    }
    clearTimeout(this.#timer);
    if (this.#responses.size === 0 || this.#sources.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#send(), PERIOD_MS).unref();
  }
}
