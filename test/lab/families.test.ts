/** Whatever pods speak and however packets reach another node: the first ping of every pair is answered. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { familiesOf } from '../../lab/families.ts';
import { Lab } from '../../lab/lab.ts';
import { lost } from '../../lab/ping.ts';

const kinds = [
  { family: 'ipv6', backend: 'vxlan', subnets: 1 },
  { family: 'dual', backend: 'vxlan', subnets: 2 },
  { family: 'ipv4', backend: 'direct', subnets: 1 },
  { family: 'dual', backend: 'auto', subnets: 2 },
] as const;

describe('a lab', () => {
  for (const { family, backend, subnets } of kinds) {
    it(`of family ${family}, backend ${backend}, ${subnets} underlay(s) carries every pair's first packet`, async () => {
      const name = `t${process.pid}-families`;
      const lab = await Lab.up({ name, nodes: 2, subnets, backend, families: familiesOf[family] ?? [] });
      try {
        await lab.pod('node-1', 'a');
        await lab.pod('node-2', 'b');
        const results = await lab.ping();
        assert.equal(results.length, 4 * (familiesOf[family]?.length ?? 0));
        assert.deepEqual(lost(results), []);
      } finally {
        await lab.down();
      }
    });
  }
});
