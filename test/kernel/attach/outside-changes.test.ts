/** What an operator does beside weft while pods live: renaming interfaces, removing runDir. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { addressOf, enterHost, ipJson, leaveHost, Plugin, Pod, ping, run } from './ground.ts';

before(enterHost);
after(leaveHost);

const wipe = (directory: string): void => {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
};

describe('runDir removed under a running agent', () => {
  const networks = {
    leased: {},
    'ranges of both families': {
      name: 'ranges',
      bridge: 'br-ranges',
      isGateway: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd00:9::/64' }]] },
    },
  };
  const losses: Readonly<Record<string, (runDir: string) => void>> = {
    'all of it': wipe,
    'the allocations alone': (runDir) => rmSync(join(runDir, 'ipam'), { recursive: true }),
  };
  for (const [network, config] of Object.entries(networks)) {
    for (const [what, lose] of Object.entries(losses)) {
      it(`${what}, network ${network}: no address of a living pod is handed out, DEL frees each`, async () => {
        const plugin = new Plugin();
        plugin.config = config;
        plugin.lease();
        const living = [new Pod(), new Pod(), new Pod()];
        const taken: string[] = [];
        for (const pod of living) taken.push(addressOf(await plugin.must('ADD', pod)));
        lose(plugin.runDir);
        plugin.lease();
        const others = [new Plugin({ runDir: plugin.runDir }), plugin];
        for (const each of others) {
          each.config = config;
          const pod = new Pod();
          living.push(pod);
          const address = addressOf(await each.must('ADD', pod));
          assert.ok(!taken.includes(address), `${address} is a living pod's`);
          taken.push(address);
        }
        ping(taken[0] ?? '');
        for (const pod of living) await plugin.must('DEL', pod);
        assert.deepEqual(plugin.allocated(network === 'leased' ? 'weft' : 'ranges'), []);
        for (const pod of living) pod.destroy();
        for (const { ifname } of ipJson('link', 'show', 'type', 'bridge')) run('ip', 'link', 'del', ifname);
        others[0]?.dispose();
      });
    }
  }
});

describe('the interface of the host renamed', () => {
  const renamed = async () => {
    const plugin = new Plugin();
    plugin.lease();
    const pod = new Pod();
    const prevResult = await plugin.must('ADD', pod);
    const [{ ifname }] = ipJson('link', 'show', 'master', 'cni0');
    run('ip', 'link', 'set', ifname, 'name', 'renamed0');
    return { plugin, pod, prevResult };
  };

  it('sweeps: the pod keeps its interface and its address', async () => {
    const { plugin, pod, prevResult } = await renamed();
    for (let i = 0; i < 3; i++) await plugin.verbs.sweep();
    ping(addressOf(prevResult));
    assert.equal(plugin.records().length, 1);
    await plugin.must('DEL', pod);
    plugin.assertNothingLeft();
    plugin.dispose();
  });

  it('GC that lists the pod: the pod keeps its interface', async () => {
    const { plugin, pod, prevResult } = await renamed();
    const valid = [{ containerID: pod.containerId, ifname: 'eth0' }];
    await plugin.must('GC', undefined, { config: { 'cni.dev/valid-attachments': valid } });
    ping(addressOf(prevResult));
    await plugin.must('GC', undefined, { config: { 'cni.dev/valid-attachments': [] } });
    plugin.assertNothingLeft();
    plugin.dispose();
  });

  it('a second ADD: refused, the pod keeps its interface', async () => {
    const { plugin, pod, prevResult } = await renamed();
    await plugin.refused(100, /already exists/, 'ADD', pod);
    ping(addressOf(prevResult));
    await plugin.must('DEL', pod);
    plugin.dispose();
  });
});
