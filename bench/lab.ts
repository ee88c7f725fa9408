/** A lab for as long as a measurement takes, also where that is interrupted. */
import { constants } from 'node:os';
import { Lab, type LabOptions } from '../lab/lab.ts';
import { identify } from '../lab/processes.ts';
import { labNames } from '../lab/state.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The name carries our process id, so that what a run left that was killed is told from one that goes on. */
export async function withLab<T>(
  options: LabOptions & { readonly name: string },
  measure: (lab: Lab) => Promise<T>,
): Promise<T> {
  await removeThoseOfTheDead(options.name);
  const name = `${options.name}-${process.pid}`;
  const interrupted = (signal: NodeJS.Signals): void => {
    // What is being measured fails as its lab goes, and nobody hears of it.
    void Lab.down(name).finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of signals) process.once(signal, interrupted);
  try {
    return await measure(await Lab.up({ ...options, name }));
  } finally {
    await Lab.down(name);
    for (const signal of signals) process.off(signal, interrupted);
  }
}

async function removeThoseOfTheDead(prefix: string): Promise<void> {
  for (const lab of labNames()) {
    const pid = lab.startsWith(`${prefix}-`) ? Number(lab.slice(prefix.length + 1)) : Number.NaN;
    if (Number.isInteger(pid) && !identify(pid)) await Lab.down(lab);
  }
}
