/** weft and the real flannel on one etcd: one network, and either takes a host over from the other. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onGround } from '../../lab/ground.ts';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { eventually, labName, leftovers, SteadyPing } from '../lab/ground.ts';
import { ensureFlanneld } from './build.ts';

const name = labName('flannel');
const weftctl = fileURLToPath(new URL('../../../dist/bin/weftctl', import.meta.url));
const config = '/coreos.com/network/config';
let lab: Lab;
let flannelHost: LabNode;
let flanneld: ChildProcess | undefined;

before(async () => {
  const program = ensureFlanneld();
  lab = await Lab.up({ name, store: 'etcd', nodes: 4, withoutAgents: ['node-3', 'node-4'] });
  flannelHost = lab.node('node-3');
  // So that it needs no iptables; nodes with weft know nothing of it.
  const [etcd] = lab.etcd;
  const cluster = JSON.parse((await etcd?.ctl('get', '--print-value-only', config)) ?? '') as object;
  await etcd?.ctl('put', config, JSON.stringify({ ...cluster, EnableNFTables: true }));
  await startFlannel(program);
  await Promise.all(['node-1', 'node-2', 'node-3'].map((node) => lab.pod(node, `pod-${node}`)));
});

after(async () => {
  await stopFlannel();
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const subnetFile = (): string => flannelHost.path('/run/flannel/subnet.env');
const subnetOf = (path: string): string =>
  /^FLANNEL_SUBNET=(\S+)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? `no subnet in ${path}`;

async function startFlannel(program = ensureFlanneld()): Promise<void> {
  const tls = (file: string) => `/etc/weft/etcd/${file}`;
  const argv = [
    program,
    `--etcd-endpoints=${lab.etcd.map(({ address }) => `https://${address}:2379`).join()}`,
    ...[
      `--etcd-cafile=${tls('ca.pem')}`,
      `--etcd-certfile=${tls('client.pem')}`,
      `--etcd-keyfile=${tls('client.key')}`,
    ],
    `--iface=${flannelHost.addresses[0]}`,
    '--iptables-forward-rules=false',
  ];
  const [command = '', ...args] = onGround({ lab: name, node: flannelHost.name }, argv);
  flanneld = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: flannelHost.environment() });
  const said: Buffer[] = [];
  flanneld.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  await eventually(() => {
    assert.equal(flanneld?.exitCode, null, Buffer.concat(said).toString());
    assert.ok(existsSync(subnetFile()), Buffer.concat(said).toString());
  }, 60_000);
  // The plugin makes its pods out of flannel's subnet file.
  const ours = flannelHost.path('/run/weft/subnet.env');
  if (!existsSync(ours)) {
    await flannelHost.mustExec(['mkdir', '-p', '/run/weft']);
    symlinkSync('/run/flannel/subnet.env', ours);
  }
}

async function stopFlannel(): Promise<void> {
  if (!flanneld || flanneld.exitCode !== null) return;
  const closed = once(flanneld, 'close');
  // nsenter has become flanneld itself.
  flanneld.kill('SIGTERM');
  await closed;
  flanneld = undefined;
}

const whole = () =>
  eventually(async () => {
    const results = await lab.ping();
    assert.deepEqual(lost(results), [], formatMatrix(results));
  }, 60_000);

describe('flannel and weft on one etcd', () => {
  it('are one network: each reaches the pods of the other', whole);

  it('have a subnet each', async () => {
    const subnets = ['node-1', 'node-2'].map((node) => subnetOf(lab.node(node).path('/run/weft/subnet.env')));
    assert.equal(new Set([...subnets, subnetOf(subnetFile())]).size, 3);
  });

  it('a node with weft that joins later is learnt by flannel', async () => {
    await lab.node('node-4').agent.start();
    await lab.pod('node-4', 'pod-node-4');
    await whole();
  });

  it('a node with weft that gives its subnet back is forgotten by flannel', async () => {
    const node = lab.node('node-4');
    const subnet = subnetOf(node.path('/run/weft/subnet.env')).replace(/\.1\/24$/, '.0/24');
    const route = () => flannelHost.mustExec(['ip', 'route', 'show', subnet]);
    assert.match(await route(), /flannel\.1/);
    await lab.podNamed('pod-node-4').remove();
    await node.mustExec([process.execPath, weftctl, 'node', 'leave']);
    await eventually(async () => assert.equal(await route(), ''), 60_000);
    await node.agent.stop();
  });

  it('weft takes the host over from flannel: the same subnet, and its pods stay', async () => {
    const had = subnetOf(subnetFile());
    await stopFlannel();
    await flannelHost.mustExec(['ip', 'link', 'delete', 'flannel.1']);
    await flannelHost.agent.start();
    assert.equal(subnetOf(flannelHost.path('/run/weft/subnet.env')), had);
    await whole();
  });

  it('and flannel from weft, by the address that they share', async () => {
    const had = subnetOf(flannelHost.path('/run/weft/subnet.env'));
    await flannelHost.agent.stop();
    await flannelHost.mustExec(['ip', 'link', 'delete', 'weft.1']);
    await startFlannel();
    await eventually(() => assert.equal(subnetOf(subnetFile()), had));
    await whole();
  });
});

/** Used while flannel runs on: nothing of weft's own traffic is lost by what flannel does. */
describe('a restart of flannel', () => {
  it('costs the nodes with weft no packet', async () => {
    const [one, two] = [lab.podNamed('pod-node-1'), lab.podNamed('pod-node-2')];
    const ping = new SteadyPing(one, two);
    await stopFlannel();
    await startFlannel();
    assert.deepEqual((await ping.end()).lost, []);
    await whole();
  });
});
