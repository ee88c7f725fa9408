/** weft-podd: when it runs, and that there is one. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import type { LabNode } from '../../lab/node.ts';
import { packageRoot } from '../../lab/product.ts';
import { Docker } from '../runtimes/docker.ts';
import { archive, RuntimeGround } from '../runtimes/ground.ts';
import { manifest, Pods } from '../runtimes/pods.ts';

describe('weft-podd', () => {
  let ground: RuntimeGround;
  let docker = undefined as unknown as Docker;
  let pods = undefined as unknown as Pods;
  let node = undefined as unknown as LabNode;

  before(async () => {
    ground = await RuntimeGround.raise('podd');
    [node] = ground.lab.nodes as [LabNode];
    docker = await Docker.start({ node, archive, cgroup: ground.cgroup });
    pods = new Pods(node);
  });

  afterEach(async () => {
    const names = (await pods.list()).map(({ name }) => name);
    if (names.length > 0) await pods.remove(...names, '--grace-period', '0');
    assert.deepEqual(await ground.leftovers(node), []);
  });

  after(async () => {
    try {
      await docker?.stop();
    } finally {
      await ground?.raze();
    }
  });

  const podd = (...args: string[]) =>
    node.exec([process.execPath, `${packageRoot()}/dist/bin/weft-podd`, ...args]);

  it('no pods: does not run, and ends at once where it is started', async () => {
    assert.equal(pods.daemon.running(), undefined);
    assert.equal((await podd()).status, 0);
    assert.equal(pods.daemon.running(), undefined);
  });

  it('first pod: started by apply; last pod removed: it ends', async () => {
    await pods.apply(manifest('first'));
    const found = pods.daemon.running();
    assert.ok(found);
    await pods.apply(manifest('second'));
    assert.deepEqual(pods.daemon.running(), found);
    await pods.remove('first');
    assert.deepEqual(pods.daemon.running(), found);
    await pods.remove('second');
    await pods.daemon.untilEnded();
  });

  it('pod is applied and removed five times: it runs each time', async () => {
    for (let i = 0; i < 5; i++) {
      await pods.apply(manifest('again'));
      await pods.remove('again', '--grace-period', '0');
    }
  });

  it('another one runs: the second one is refused', async () => {
    await pods.apply(manifest('one'));
    const { status, stderr } = await podd();
    assert.equal(status, 1);
    assert.match(stderr, /^weft-podd: weft-podd is already running for \/var\/lib\/weft\n$/);
    assert.equal((await pods.see('one'))?.reason, 'Running');
  });

  it('order without a daemon, as after a reboot: carried out when it starts', async () => {
    await pods.apply(manifest('boot'));
    await pods.daemon.stop();
    const { Id: id } = (await docker.api.listContainers({ filters: { label: ['weft.role=app'] } }))[0] ?? {
      Id: '',
    };
    await docker.api.getContainer(id).kill({ signal: 'SIGKILL' });
    await pods.daemon.start();
    await pods.until('boot', ({ reason, containers }) => reason === 'Running' && containers[0]?.id !== id);
  });

  it('keeper of weftd 0.1.0 is alive: waits until it ends', async () => {
    const old = await node.exec(['sh', '-c', 'sleep 600 >/dev/null 2>&1 </dev/null & echo $!']);
    const pid = Number(old.stdout);
    const [, fields = ''] = (await node.mustExec(['cat', `/proc/${pid}/stat`])).split(') ');
    mkdirSync(node.path('/run/weft/pods'), { recursive: true });
    const keeper = { version: 1, pid, startTicks: fields.split(' ')[19] };
    writeFileSync(node.path('/run/weft/pods/keeper'), JSON.stringify(keeper));
    const order = pods.ctl(['apply', '-f', '-', '--timeout', '0'], manifest('upgraded'));
    assert.equal((await order).status, 0);
    const waiting = podd();
    await node.mustExec(['sh', '-c', `sleep 1; kill -0 ${pid}`]);
    assert.equal(await pods.see('upgraded').then((pod) => pod?.addresses.length), 0);
    process.kill(pid, 'SIGTERM');
    await pods.until('upgraded', ({ reason }) => reason === 'Running');
    await pods.remove('upgraded');
    const { stdout } = await waiting;
    assert.match(stdout, /"pods.waitingForKeeper"[\s\S]*"pods.started"[\s\S]*"pods.stopped"/);
  });

  it('another stateDir: a daemon of its own', async () => {
    writeFileSync(node.path('/run/other.yaml'), 'stateDir: /run/other/state\nrunDir: /run/other/run\n');
    const other = ['--config', '/run/other.yaml'];
    const applied = await pods.ctl(['apply', ...other, '-f', '-'], manifest('elsewhere'));
    assert.equal(applied.status, 0, applied.stderr);
    assert.equal(pods.daemon.running(), undefined);
    assert.equal((await pods.ctl(['ls', ...other])).stdout.split('\n').length, 3);
    const removed = await pods.ctl(['rm', ...other, 'elsewhere']);
    assert.equal(removed.status, 0, removed.stderr);
  });
});
