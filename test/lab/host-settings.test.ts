/** Settings of the host, and routes of the cluster network, on nodes that pods talk through. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { findProduct } from '../../lab/product.ts';
import { eventually, labName, leftovers, reconfigure, withLab } from './ground.ts';

const name = labName('settings');
let lab: Lab;
let one: LabNode;
let two: LabNode;

before(async () => {
  lab = await Lab.up({ name, nodes: 2 });
  [one, two] = [lab.node('node-1'), lab.node('node-2')];
  await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `on-${node.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const sh = (on: LabNode, command: string): Promise<string> => on.mustExec(['sh', '-ec', command]);

async function allReach(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
}

describe('forwarding switched off for one interface', () => {
  for (const link of ['eth0', 'weft/1', 'cni0']) {
    it(`${link}: on again, and pods reach each other`, async () => {
      await sh(one, `sysctl -qw net.ipv4.conf.${link}.forwarding=0`);
      await eventually(async () => {
        assert.match(await sh(one, `sysctl -n net.ipv4.conf.${link}.forwarding`), /^1$/m);
      });
      await allReach();
    });
  }
});

describe('strict reverse-path filters', () => {
  it('masquerade off: a pod reaches the other node, and its answer comes back', async () => {
    for (const node of lab.nodes) {
      await sh(node, 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >$f; done');
    }
    reconfigure(lab.nodes, { masquerade: false });
    const pod = lab.podNamed('on-node-1');
    await eventually(async () => {
      const { status, stdout } = await pod.exec(['ping', '-c', '1', '-W', '1', two.addresses[0] ?? '']);
      assert.equal(status, 0, stdout);
    });
    await allReach();
    reconfigure(lab.nodes, { masquerade: true });
  });
});

describe('subnets that no node leases', () => {
  const route = () => sh(one, 'ip route show 10.244.0.0/16 proto 87');

  it('pod sends there: told at once that the host is unreachable', async () => {
    await eventually(async () => assert.match(await route(), /^unreachable .*metric 4294967295/));
    const pod = lab.podNamed('on-node-1');
    const { stdout, stderr } = await pod.exec(['ping', '-c', '1', '-W', '2', '10.244.240.9']);
    assert.match(`${stdout}${stderr}`, /Host Unreachable|No route/);
  });

  it('unleased: blackhole, pass, unreachable by SIGHUP: the route follows', async () => {
    reconfigure([one], { unleased: 'blackhole' });
    await eventually(async () => assert.match(await route(), /^blackhole/));
    reconfigure([one], { unleased: 'pass' });
    await eventually(async () => assert.equal(await route(), ''));
    reconfigure([one], { unleased: 'unreachable' });
    await eventually(async () => assert.match(await route(), /^unreachable/));
  });

  it('route of an operator for the network: respected within moments, and so is its removal', async () => {
    await sh(one, 'ip route add 10.244.0.0/16 via 192.168.188.1');
    await eventually(async () => assert.equal(await route(), ''));
    await sh(one, 'ip route del 10.244.0.0/16 via 192.168.188.1');
    await eventually(async () => assert.match(await route(), /^unreachable/));
  });

  it('peer gone and back: an established TCP connection goes on, and a new one is made', async () => {
    const [from, to] = [lab.podNamed('on-node-1'), lab.podNamed('on-node-2')];
    const address = to.addresses[0] ?? '';
    const server = `require('net').createServer((s) => s.pipe(s)).listen(7007)`;
    const client = `const s = require('net').connect(7007, '${address}'); let n = 0;
      const ask = () => s.write('x'); s.on('connect', ask);
      s.on('data', () => { if (++n === 60) { console.log('done'); process.exit(); } setTimeout(ask, 50); });
      s.on('error', (e) => { console.log(e.code); process.exit(1); });`;
    const probe = `require('net').connect(7007, '${address}')
      .on('connect', () => process.exit()).on('error', () => process.exit(1))`;
    const served = to.exec(['timeout', '12', process.execPath, '-e', server]);
    await eventually(async () => {
      assert.equal((await from.exec([process.execPath, '-e', probe])).status, 0);
    });
    const talking = from.exec(['timeout', '15', process.execPath, '-e', client]);
    const subnet = (await sh(one, 'ip -o route show type unicast proto 87')).split(' ')[0] ?? '';
    await sh(one, 'sleep 1');
    // As when the peer's lease ended for a moment: only the route for what nobody leases is left.
    await sh(one, `for i in 1 2 3 4 5; do ip route del ${subnet}; sleep 0.2; done`);
    const { stdout } = await talking;
    assert.match(stdout, /done/);
    await eventually(async () => {
      assert.equal((await from.exec([process.execPath, '-e', probe])).status, 0);
    });
    await two.exec(['true']);
    await served;
  });
});

describe('cleanup', () => {
  it('another network relies on forwarding: it stays on, and that is said; the route is gone', async () => {
    await withLab({ name: labName('relied'), nodes: 1, withoutAgents: true }, async (other) => {
      const [node] = other.nodes;
      assert.ok(node);
      await sh(node, 'sysctl -qw net.ipv4.ip_forward=0');
      await node.agent.start();
      await eventually(async () => assert.match(await sh(node, 'sysctl -n net.ipv4.ip_forward'), /^1$/m));
      await sh(node, 'ip link add docker0 type bridge; ip link set docker0 up');
      await node.agent.stop();
      const said = await node.mustExec([join(dirname(findProduct().weftd), 'weftctl'), 'node', 'cleanup']);
      assert.match(said, /net\/ipv4\/ip_forward stays 1: needed by docker0; it was 0/);
      assert.match(await sh(node, 'sysctl -n net.ipv4.ip_forward'), /^1$/m);
      assert.equal(await sh(node, 'ip route show proto 87'), '');
    });
  });
});
