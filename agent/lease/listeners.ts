/** Who wants to be told of something, each for as long as its signal has not fired. */
export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => void>();

  add(listener: (value: T) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  tell(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
}
