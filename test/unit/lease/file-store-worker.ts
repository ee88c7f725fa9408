/** Adds one to a record under compare, as often as told; prints how often its comparison held. */
import { isStoreError } from '../../../agent/lease/errors.ts';
import { FileStore } from '../../../agent/lease/store/file/file-store.ts';
import { absent } from '../../../agent/lease/store/store.ts';
import { systemClock } from '../../../clock/clock.ts';
import { readBootId } from '../../../kernel/boot.ts';

const [path = '', rounds = '0'] = process.argv.slice(2);
const store = new FileStore({ path, clock: systemClock, boot: readBootId() });
const signal = new AbortController().signal;
const key = 'subnets/10.244.1.0-24';

async function addOne(): Promise<boolean> {
  const [record] = await store.read([key], signal);
  const value = String(Number(record?.value ?? '0') + 1);
  const compare = [{ key, version: record?.version ?? absent }];
  return store.commit({ compare, write: [{ type: 'put', key, value, session: undefined }] }, signal);
}

let won = 0;
for (let round = 0; round < Number(rounds); ) {
  try {
    if (await addOne()) won++;
    round++;
  } catch (error) {
    // On a busy machine the lock may be out of reach for longer than one call waits; then nothing was done.
    if (!isStoreError(error, 'away')) throw error;
  }
}
process.stdout.write(String(won));
