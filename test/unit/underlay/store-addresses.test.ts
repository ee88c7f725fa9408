import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../../agent/config/read.ts';
import { type KnownNames, StoreAddresses } from '../../../agent/underlay/store-addresses.ts';
import { formatIp } from '../../../inet/ip.ts';
import { silentLog } from '../../../log/log.ts';

const names: Record<string, string[]> = { 'etcd.example': ['192.0.2.1', '2001:db8::1'] };

function addressesOf(
  endpoints: string,
  { known = {}, resolve }: { known?: KnownNames; resolve?: (name: string) => Promise<string[]> } = {},
) {
  let changes = 0;
  const stop = new AbortController();
  const { store } = readConfig('', `store: { type: etcd, endpoints: [${endpoints}] }`);
  const addresses = new StoreAddresses({
    store,
    known,
    resolve:
      resolve ?? (async (name) => names[name] ?? Promise.reject(new Error(`getaddrinfo ENOTFOUND ${name}`))),
    onChange: () => changes++,
    log: silentLog,
    signal: stop.signal,
  });
  return { addresses, stop, changes: () => changes, texts: () => addresses.addresses.map(formatIp) };
}

describe('addresses of the store', () => {
  it('file store: none, and none is missing', async () => {
    const { store } = readConfig('', '');
    const signal = new AbortController().signal;
    const none = new StoreAddresses({ store, known: {}, onChange: () => {}, log: silentLog, signal });
    await none.first();
    assert.deepEqual([none.addresses, none.problem], [[], undefined]);
  });

  it('addresses, names and an unresolved name: those written and those resolved', async () => {
    const endpoints =
      "http://192.0.2.9:1, http://gone.example:1, http://etcd.example:1, 'http://[2001:db8::9]:1'";
    const { addresses, texts, stop } = addressesOf(endpoints);
    await addresses.lookUp();
    assert.deepEqual(texts(), ['192.0.2.9', '2001:db8::9', '192.0.2.1', '2001:db8::1']);
    assert.equal(addresses.problem, undefined);
    stop.abort();
  });

  it('no name resolved, none known: a problem with the remedy', async () => {
    const { addresses, stop } = addressesOf('http://gone.example:1');
    await addresses.first();
    assert.match(
      addresses.problem ?? '',
      /unresolved.*ENOTFOUND gone\.example.*write addresses in store\.endp/,
    );
    stop.abort();
  });

  it('name server does not answer, addresses known from before: these, without waiting', async () => {
    const { addresses, texts, stop } = addressesOf('http://etcd.example:1', {
      known: { 'etcd.example': ['192.0.2.7'] },
      resolve: () => new Promise(() => {}),
    });
    await addresses.first();
    assert.deepEqual([texts(), addresses.problem], [['192.0.2.7'], undefined]);
    stop.abort();
  });

  it('name server answers otherwise than before: reported once, kept for another life', async () => {
    const { addresses, changes, stop } = addressesOf('http://etcd.example:1', {
      known: { 'etcd.example': ['192.0.2.7'] },
    });
    await addresses.lookUp();
    await addresses.lookUp();
    assert.equal(changes(), 1);
    assert.deepEqual(addresses.known, names);
    stop.abort();
  });

  it('name server fails after it answered: what it answered stays', async () => {
    let fails = false;
    const { addresses, texts, stop } = addressesOf('http://etcd.example:1', {
      resolve: async () => (fails ? Promise.reject(new Error('EAI_AGAIN')) : ['192.0.2.1']),
    });
    await addresses.lookUp();
    fails = true;
    await addresses.lookUp();
    assert.deepEqual(texts(), ['192.0.2.1']);
    stop.abort();
  });

  it('answers in another order: no change', async () => {
    let turn = false;
    const { addresses, changes, stop } = addressesOf('http://etcd.example:1', {
      resolve: async () => {
        turn = !turn;
        return turn ? ['192.0.2.1', '192.0.2.2'] : ['192.0.2.2', '192.0.2.1'];
      },
    });
    await addresses.lookUp();
    await addresses.lookUp();
    assert.equal(changes(), 1);
    stop.abort();
  });
});
