/** Runs histories: `node build/test/simulation/run.js FIRST_SEED COUNT`. One that fails is printed with its seed. */
import { History } from './history.ts';

// Thousands of errors are expected, and nobody reads their stacks.
Error.stackTraceLimit = 0;

const [first = '1', count = '1'] = process.argv.slice(2);
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const history = new History(seed);
  try {
    await history.run();
  } catch (error) {
    process.stdout.write(
      `seed ${seed}: ${error instanceof Error ? error.message : error}\n${history.trace.join('\n')}\n`,
    );
    process.exitCode = 1;
    break;
  }
}
