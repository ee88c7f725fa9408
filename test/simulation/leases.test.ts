import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** WEFT_HISTORIES and WEFT_SEED look further or elsewhere: `WEFT_SEED=$RANDOM WEFT_HISTORIES=1000000`. */
const histories = Number(process.env.WEFT_HISTORIES ?? 100_000);
const firstSeed = Number(process.env.WEFT_SEED ?? 1);

test(`${histories} histories of joins and faults keep I1, I2 and I3, and come to rest`, async () => {
  const program = fileURLToPath(new URL('./run.js', import.meta.url));
  const processes = availableParallelism();
  const share = Math.ceil(histories / processes);
  const outcomes = await Promise.all(
    Array.from({ length: processes }, async (_, n) => {
      const seeds = [String(firstSeed + n * share), String(Math.min(share, histories - n * share))];
      const child = spawn(process.execPath, ['--max-semi-space-size=32', program, ...seeds], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const output: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
      const [status] = await once(child, 'close');
      return { status, output: Buffer.concat(output).toString() };
    }),
  );
  for (const { status, output } of outcomes) assert.equal(status, 0, output);
});
