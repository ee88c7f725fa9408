/** Commits a record longer than this process may write, and says what came of it. */

import { StoreError } from '../../../agent/lease/errors.ts';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import { systemClock } from '../../../clock/clock.ts';
import { readBootId } from '../../../kernel/boot.ts';

const [path = ''] = process.argv.slice(2);
const store = new FileStore({ path, clock: systemClock, boot: readBootId() });
const write = [
  { type: 'put' as const, key: 'subnets/10.244.1.0-24', value: 'x'.repeat(4000), session: undefined },
];
const outcome = await store
  .commit({ compare: [], write }, new AbortController().signal)
  .catch((error: unknown) => {
    if (error instanceof StoreError) return `${error.kind}: ${error.message}`;
    throw error;
  });
process.stdout.write(`${outcome}\n`);
