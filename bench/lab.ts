/** A lab for as long as a measurement takes. */
import { Lab, type LabOptions } from '../lab/lab.ts';
import { identify } from '../lab/processes.ts';
import { labNames } from '../lab/state.ts';
import { interruptible } from './interruptible.ts';

/** The name carries our process id, so that what a run left that was killed is told from one that goes on. */
export async function withLab<T>(
  options: LabOptions & { readonly name: string },
  measure: (lab: Lab) => Promise<T>,
): Promise<T> {
  await removeThoseOfTheDead(options.name);
  const name = `${options.name}-${process.pid}`;
  return interruptible(
    () => Lab.down(name),
    async () => measure(await Lab.up({ ...options, name })),
  );
}

async function removeThoseOfTheDead(prefix: string): Promise<void> {
  for (const lab of labNames()) {
    const pid = lab.startsWith(`${prefix}-`) ? Number(lab.slice(prefix.length + 1)) : Number.NaN;
    if (Number.isInteger(pid) && !identify(pid)) await Lab.down(lab);
  }
}
