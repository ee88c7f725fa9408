/** What a changed weft.yaml means to an agent that runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../../agent/config/read.ts';
import { reloadConfig } from '../../../agent/config/reload.ts';

const config = (yaml: string) => readConfig('weft.yaml', yaml);

const cases: { before: string; after: string; applied: string[]; restart?: string[] }[] = [
  { before: '', after: '', applied: [] },
  { before: '', after: 'backend: { mtu: 1400 }', applied: ['backend.mtu'] },
  { before: '', after: 'masquerade: false', applied: ['masquerade'] },
  { before: '', after: 'publicIP: 192.0.2.1', applied: ['publicIP'] },
  { before: '', after: 'underlay: eth1', applied: ['underlay'] },
  { before: '', after: 'probes: { period: 1s }', applied: ['probes'] },
  { before: '', after: 'log: { level: debug }', applied: ['log'] },
  { before: '', after: 'backend: { type: auto }', applied: ['backend.type'] },
  { before: '', after: 'backend: { type: direct }', applied: ['backend.type'] },
  { before: 'backend: { vni: 7 }', after: 'backend: { type: direct }', applied: ['backend.type'] },
  {
    before: 'backend: { type: direct }',
    after: 'backend: { type: vxlan, vni: 7 }',
    applied: ['backend.type'],
  },
  {
    before: '',
    after: 'backend: { type: auto, vni: 7, port: 4789 }',
    applied: ['backend.type'],
    restart: ['backend.vni', 'backend.port'],
  },
  { before: '', after: 'network: 10.0.0.0/8', applied: [], restart: ['network'] },
  { before: '', after: 'runDir: /run/other', applied: [], restart: ['runDir'] },
];

describe('configuration reload', () => {
  for (const { before, after, applied, restart = [] } of cases) {
    const then = [
      applied.length ? `takes up ${applied}` : '',
      restart.length ? `needs a restart for ${restart}` : '',
    ];
    it(`from "${before}" to "${after}": ${then.filter(Boolean).join(', ') || 'nothing'}`, () => {
      const reloaded = reloadConfig(config(before), config(after));
      assert.deepEqual([reloaded.applied, reloaded.restart], [applied, restart]);
    });
  }

  it('fields that need a restart: keep their old values', () => {
    const { config: held } = reloadConfig(
      config('backend: { vni: 7 }'),
      config('backend: { type: auto, vni: 8, mtu: 1400 }\nrunDir: /run/other\nmasquerade: false'),
    );
    assert.deepEqual(held.backend, { type: 'auto', vni: 7, port: 8472, mtu: 1400 });
    assert.deepEqual([held.runDir, held.masquerade.enabled], ['/run/weft', false]);
  });

  it('change from vxlan to direct: VNI and port stay until the tunnel is removed', () => {
    const direct = reloadConfig(config('backend: { vni: 7 }'), config('backend: { type: direct }')).config;
    assert.equal(direct.backend.vni, 7);
    assert.equal(reloadConfig(direct, config('backend: { vni: 9 }')).config.backend.vni, 9);
  });
});
