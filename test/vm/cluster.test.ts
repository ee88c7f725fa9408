import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cluster } from './ground/cluster.ts';
import type { Machine } from './ground/machine.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const over = new AbortController();

describe('two machines with a kernel of their own', () => {
  let cluster: Cluster;
  let first: Machine;
  let second: Machine;

  before(async () => {
    cluster = await Cluster.prepare({ root, count: 2, signal: over.signal });
    const [one, two] = cluster.machines;
    assert.ok(one && two);
    [first, second] = [one, two];
  });
  after(async () => {
    over.abort();
    await cluster?.remove();
  });

  test('are made nodes by the scripts that Vagrant runs, all at once', async () => {
    await Promise.all([cluster.up(first), cluster.up(second)]);
    await Promise.all([cluster.provision(second), cluster.provision(first)]);
    process.stdout.write(`${await cluster.verify()}\n`);
  });
});
