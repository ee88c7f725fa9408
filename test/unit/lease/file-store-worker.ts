/** Adds one to a record under compare, as often as told; prints how often its comparison held. */
import { bootId, systemClock } from '../../../agent/lease/clock.ts';
import { FileStore } from '../../../agent/lease/file/file-store.ts';
import { absent } from '../../../agent/lease/store.ts';

const [path = '', rounds = '0'] = process.argv.slice(2);
const store = new FileStore({ path, clock: systemClock, boot: bootId() });
const signal = new AbortController().signal;
const key = 'subnets/10.244.1.0-24';
let won = 0;
for (let round = 0; round < Number(rounds); round++) {
  const [record] = await store.read([key], signal);
  const value = String(Number(record?.value ?? '0') + 1);
  const compare = [{ key, version: record?.version ?? absent }];
  if (await store.commit({ compare, write: [{ type: 'put', key, value, session: undefined }] }, signal))
    won++;
}
process.stdout.write(String(won));
