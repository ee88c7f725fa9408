/** What an operator does on a node: see what the agent would do, and get rid of all that weft made. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { findProduct } from '../../lab/product.ts';
import { eventually, labName, leftovers } from './ground.ts';

const name = labName('node');
const dist = join(findProduct().root, 'dist/bin');
let lab: Lab;
let node: LabNode;
/** node-2 before weft. */
let found: string;

before(async () => {
  lab = await Lab.up({ name, nodes: 2, backend: 'auto', families: ['ipv4', 'ipv6'], withoutAgents: true });
  node = lab.node('node-1');
  found = await snapshot(lab.node('node-2'));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

/** All of a host's network that weft touches, as text. */
async function snapshot(of: LabNode): Promise<string> {
  const commands = [
    'ip -o link show | sed "s/^[0-9]*: //"',
    'ip -o address show | sed "s/^[0-9]*: //"',
    'ip route show table all',
    'ip -6 route show table all',
    'ip rule; ip -6 rule',
    'nft list ruleset',
    'sysctl -a 2>/dev/null | grep -E "forward|rp_filter|accept_ra |route_localnet" | grep -v "default\\|lo\\."',
    'ls /run/weft 2>/dev/null || true',
  ];
  // A link-local address comes when the kernel is done asking for it.
  return of.mustExec(['sh', '-c', `{ ${commands.join('; ')}; } | grep -v fe80`]);
}

const plan = () => node.mustExec([join(dist, 'weftd'), 'plan']);
const cleanup = (...options: string[]) => node.exec([join(dist, 'weftctl'), 'node', 'cleanup', ...options]);

describe('weftd plan', () => {
  it('says that there is nothing to plan before the node has a lease', async () => {
    const { status, stderr } = await node.exec([join(dist, 'weftd'), 'plan']);
    assert.equal(status, 1);
    assert.match(stderr, /no subnet lease in .*start weftd/);
  });

  it('has nothing to say beside an agent that has done its work, and changes nothing', async () => {
    for (const { agent } of lab.nodes) await agent.start();
    await lab.pod('node-1', 'pod');
    // It goes by what the agent has on disk, which hears of peers within a second.
    await eventually(async () => assert.equal(await plan(), 'nothing to change\n'));
    const before = await snapshot(node);
    assert.equal(await plan(), 'nothing to change\n');
    assert.equal(await snapshot(node), before);
  });

  it('tells what the agent would do', async () => {
    await node.agent.stop();
    await node.mustExec(['ip', 'link', 'delete', 'weft.1']);
    await node.mustExec(['ip', 'address', 'flush', 'dev', 'cni0']);
    await node.mustExec(['ip', 'link', 'set', 'cni0', 'down']);
    await node.mustExec(['nft', 'flush', 'ruleset']);
    const steps = await plan();
    assert.match(steps, /^create weft\.1: it is missing$/m);
    assert.match(steps, /^add route 10\.244\.\d+\.0\/24 via /m);
    assert.match(steps, /^cni0: up$/m);
    assert.match(steps, /^cni0: address 10\.244\.\d+\.1\/24$/m);
    assert.match(steps, /^inet weft masquerade: missing$/m);
    assert.doesNotMatch(steps, /weft-v6\.1/);
    assert.doesNotMatch(await node.mustExec(['ip', 'link']), /weft\.1/);
    assert.match(await node.mustExec(['ip', 'link', 'show', 'cni0']), /state DOWN/);
    await node.agent.start();
    assert.equal(await plan(), 'nothing to change\n');
  });
});

describe('weftctl node cleanup', () => {
  it('refuses while the agent runs, and while pods do', async () => {
    const beside = await cleanup();
    assert.equal(beside.status, 1);
    assert.match(beside.stderr, /weftd is running .* stop it first/);
    await node.agent.stop();
    const withPods = await cleanup();
    assert.equal(withPods.status, 1);
    assert.match(withPods.stderr, /1 pods run on this node .* --force/);
    assert.match(await node.mustExec(['ip', 'link']), /weft\.1/);
  });

  it('leaves the host as it was found, and says what it removed', async () => {
    node = lab.node('node-2');
    await lab.pod('node-2', 'another');
    await node.agent.stop();
    assert.notEqual(await snapshot(node), found);
    const { status, stdout, stderr } = await cleanup('--force');
    assert.equal(status, 0, stderr);
    assert.equal(await snapshot(node), found);
    for (const said of [
      /pod .* eth0/,
      /link weft\.1/,
      /link cni0/,
      /table inet weft/,
      /ip_forward: 1 -> 0/,
      /10-weft\.conflist/,
    ]) {
      assert.match(stdout, said);
    }
    assert.match(stdout, /^kept: \/var\/lib\/weft/m);
  });

  it('leaves an agent that is started again nothing to doubt: the lease is its own', async () => {
    await node.agent.start();
    assert.doesNotMatch(await node.agent.log(), /lease\.ownerProbe/);
    assert.equal(await plan(), 'nothing to change\n');
  });
});

describe('the CNI configuration', () => {
  const conflist = '/etc/cni/net.d/10-weft.conflist';

  it('is put in place by an agent that can have pods made, and taken away when the node leaves', async () => {
    node = lab.node('node-1');
    await node.agent.start();
    await node.mustExec(['grep', '-q', '"type": "weft"', conflist]);
    await node.mustExec([join(dist, 'weftctl'), 'node', 'leave']);
    assert.notEqual((await node.exec(['ls', conflist])).status, 0);
    await node.agent.stop();
    await node.agent.start();
    await node.mustExec(['ls', conflist]);
  });
});
