/**
 * Backend `auto`: the direct way where the peer is on the same link and answers on it, the tunnel otherwise, and no
 * packet lost on the way from one to the other, however strictly the hosts filter by reverse path.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { fabric, netnsName } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { labName, leftovers, SteadyPing } from './ground.ts';

/** Some periods of probes, on a busy machine. */
const withinMs = 20_000;

const name = labName('auto');
let lab: Lab;

before(async () => {
  // node-1 and node-3 share a link, node-2 is behind a router.
  lab = await Lab.up({
    name,
    subnets: 2,
    backend: 'auto',
    families: ['ipv4', 'ipv6'],
    configuration: { probes: { period: '1s', failureThreshold: 2 } },
  });
  await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `on-${node.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

/** The fabric's switch drops what the rule matches, until `nft delete table bridge test`. */
const dropInFabric = (...rules: string[]) =>
  mustRun(['ip', 'netns', 'exec', netnsName(name, fabric), 'nft', '-f', '-'], {
    input: `table bridge test {
  chain forward {
    type filter hook forward priority 0
${rules.map((rule) => `    ${rule} drop`).join('\n')}
  }
}
`,
  });

const dropNothing = () =>
  mustRun(['ip', 'netns', 'exec', netnsName(name, fabric), 'nft', 'delete', 'table', 'bridge', 'test']);

/** The devices of the routes to other nodes' subnets, in both families, sorted. */
async function ways(node: LabNode): Promise<string[]> {
  const routes = await Promise.all(
    ['-4', '-6'].map((family) =>
      node.json(['ip', family, '-j', 'route', 'show', 'type', 'unicast', 'proto', '87']),
    ),
  );
  const devices = (routes.flat() as { dst: string; dev: string }[])
    .filter(({ dst }) => dst.includes('/'))
    .map(({ dev }) => dev);
  return devices.toSorted();
}

async function eventually(node: LabNode, expected: string[]): Promise<void> {
  for (const since = Date.now(); ; await delay(50)) {
    const actual = await ways(node);
    if (actual.join() === expected.join()) return;
    if (Date.now() - since > withinMs) assert.deepEqual(actual, expected, node.agent.log().slice(-2000));
  }
}

const direct = ['eth0', 'eth0', 'weft-v6.1', 'weft.1'];
const tunnel = ['weft-v6.1', 'weft-v6.1', 'weft.1', 'weft.1'];

const neighbours = (): [LabNode, LabNode] => [lab.node('node-1'), lab.node('node-3')];

async function bothTake(expected: string[]): Promise<void> {
  for (const node of neighbours()) await eventually(node, expected);
}

describe('backend auto', () => {
  it('takes the direct way to a neighbour that answers on it, and the tunnel to who is behind a router', async () => {
    await bothTake(direct);
    await eventually(lab.node('node-2'), tunnel);
    const results = await lab.ping();
    assert.deepEqual(lost(results), [], formatMatrix(results));
  });

  for (const rpFilter of ['0', '1', '2']) {
    it(`changes from one way to the other and back without losing a packet, with rp_filter ${rpFilter}`, async () => {
      for (const node of lab.nodes) {
        for (const where of ['all', 'default', 'eth0', 'weft.1', 'cni0']) {
          await node.mustExec(['sysctl', '-qw', `net/ipv4/conf/${where}/rp_filter=${rpFilter}`]);
        }
      }
      await bothTake(direct);
      const [a, b] = [lab.podNamed('on-node-1'), lab.podNamed('on-node-3')];
      const pings = a.addresses.map((_, i) => new SteadyPing(a, b, b.addresses[i]));
      try {
        // The probes of the direct way are lost, the pods' packets are not: so what is lost is lost by the change.
        await dropInFabric('udp dport 8475');
        await bothTake(tunnel);
        await dropNothing();
        await bothTake(direct);
      } finally {
        for (const ping of pings) assert.deepEqual((await ping.end()).lost, []);
      }
    });
  }

  it('falls back to the tunnel where the network drops foreign addresses', async () => {
    await bothTake(direct);
    await dropInFabric('ip saddr 10.244.0.0/16', 'ip6 saddr fd00:10:244::/48');
    try {
      await bothTake(tunnel);
      const results = await lab.ping();
      assert.deepEqual(lost(results), [], formatMatrix(results));
    } finally {
      await dropNothing();
    }
    await bothTake(direct);
  });

  it('goes on when its agent is killed and started again, on the way that it had', async () => {
    await bothTake(direct);
    const [a, b] = [lab.podNamed('on-node-1'), lab.podNamed('on-node-3')];
    const ping = new SteadyPing(a, b);
    const { agent } = lab.node('node-1');
    await agent.stop('SIGKILL');
    await agent.start();
    await bothTake(direct);
    assert.deepEqual((await ping.end()).lost, []);
  });

  it('leaves and takes the direct ways when it is told to by its configuration', async () => {
    const node = lab.node('node-1');
    const [a, b] = [lab.podNamed('on-node-1'), lab.podNamed('on-node-3')];
    const ping = new SteadyPing(a, b);
    const rewrite = (from: string, to: string) =>
      node.mustExec(['sed', '-i', `s/type: ${from}/type: ${to}/`, '/etc/weft/weft.yaml']);
    await rewrite('auto', 'vxlan');
    node.agent.signal('SIGHUP');
    await eventually(node, tunnel);
    await rewrite('vxlan', 'auto');
    node.agent.signal('SIGHUP');
    await bothTake(direct);
    assert.deepEqual((await ping.end()).lost, []);
    assert.match(node.agent.log(), /"applied":\["backend.type"\]/);
  });
});
