/** `weftctl`. */
import { inspect } from 'node:util';
import { endWithClosedPipe } from './closed-pipe.ts';
import { weftctl } from './program.ts';

/** An error with a remedy needs no stack; any other one is a bug of weft and shows its place. */
const expected: ReadonlySet<string> = new Set([
  'LabError',
  'KernelError',
  'NetworkError',
  'PluginError',
  'LeaseError',
  'StoreError',
  'ConfigError',
  'AgentError',
  'DiskError',
  'PodError',
  'UsageError',
]);

endWithClosedPipe();
weftctl()
  .parseAsync()
  .catch((error: unknown) => {
    const shown = error instanceof Error && expected.has(error.name) ? error.message : inspect(error);
    process.stderr.write(`weftctl: ${shown}\n`);
    process.exitCode = 1;
  });
