/** What a measurement stands on goes when it is over, also where that is because somebody interrupts it. */
import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `teardown` is called once, however it ends. */
export async function interruptible<T>(teardown: () => Promise<void>, measure: () => Promise<T>): Promise<T> {
  let over: Promise<void> | undefined;
  const end = (): Promise<void> => {
    over ??= teardown();
    return over;
  };
  const interrupted = (signal: NodeJS.Signals): void => {
    // What is being measured fails as its ground goes, and nobody hears of it.
    void end().finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of signals) process.once(signal, interrupted);
  try {
    return await measure();
  } finally {
    await end();
    for (const signal of signals) process.off(signal, interrupted);
  }
}
