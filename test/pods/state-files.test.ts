/** Files of stateDir that cannot be read: the pods that they are about keep running, with their volumes. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Docker } from '../runtimes/docker.ts';
import { archive, RuntimeGround } from '../runtimes/ground.ts';
import { container, manifest, Pods } from '../runtimes/pods.ts';

const withData = manifest('kept', {
  volumes: [{ name: 'data', emptyDir: {} }],
  containers: [container('main', { volumeMounts: [{ name: 'data', mountPath: '/data' }] })],
});

describe('state file of a pod that cannot be read', () => {
  let ground: RuntimeGround;
  let docker = undefined as unknown as Docker;
  let pods = undefined as unknown as Pods;

  before(async () => {
    ground = await RuntimeGround.raise('state');
    const [node] = ground.lab.nodes;
    if (!node) throw new Error('no node');
    docker = await Docker.start({ node, archive, cgroup: ground.cgroup });
    pods = new Pods(node);
    await pods.apply(withData);
    await pods.exec('kept', 'sh', '-c', 'echo precious >/data/file');
  });

  after(async () => {
    try {
      await pods?.remove('kept', '--grace-period', '0', '--ignore-not-found');
      await docker?.stop();
    } finally {
      await ground?.raze();
    }
  });

  const fileOf = (folder: string) => pods.node.path(`/var/lib/weft/pods/${folder}/default_kept.json`);
  const running = async () => {
    const found = await docker.api.listContainers({ filters: { label: ['weft.pod=default_kept'] } });
    return found.map(({ Id, State }) => `${Id} ${State}`).toSorted();
  };
  const reports = () => pods.daemon.log().split('"pod.stateUnreadable"').length;

  let atStart: string[] = [];
  beforeEach(async () => {
    atStart = await running();
    assert.equal(atStart.length, 2);
  });

  /** Until the daemon has met the damage again. */
  async function untilReported(since: number): Promise<void> {
    for (const begun = Date.now(); reports() <= since; await delay(50)) {
      if (Date.now() - begun > 30_000) throw new Error(`not reported:\n${pods.daemon.log().slice(-2000)}`);
    }
  }

  async function keeps(folder: string, damage: (text: string) => string, restart: boolean): Promise<void> {
    const path = fileOf(folder);
    const whole = readFileSync(path, 'utf8');
    const since = reports();
    if (restart) await pods.daemon.stop('SIGKILL');
    writeFileSync(path, damage(whole));
    if (restart) await pods.daemon.start();
    await untilReported(since);
    assert.deepEqual(await running(), atStart);
    const { Volumes } = await docker.api.listVolumes();
    assert.equal(Volumes.length, 1);
    writeFileSync(path, whole);
    const { stdout } = await pods.exec('kept', 'cat', '/data/file');
    assert.equal(stdout, 'precious\n');
  }

  it('order is truncated while the daemon runs: pod and volume are kept', () =>
    keeps('wanted', (text) => text.slice(0, -3), false));

  it('order is truncated while the daemon is stopped: pod and volume are kept', () =>
    keeps('wanted', (text) => text.slice(0, -3), true));

  it('order has a later format, as after a rollback: pod and volume are kept', () =>
    keeps('wanted', (text) => text.replace('"version":1', '"version":2'), true));

  it('memory is empty after a power failure: pod and volume are kept', () => keeps('memory', () => '', true));

  it('order is truncated: pod ls and rm report it, apply replaces it', async () => {
    writeFileSync(fileOf('wanted'), '{"version":1,');
    const listed = await pods.ctl(['ls']);
    assert.match(
      listed.stderr,
      /failed to read \S+default_kept\.json: it is truncated or damaged .*weftctl pod apply/,
    );
    const removed = await pods.ctl(['rm', 'kept']);
    assert.equal(removed.status, 1);
    assert.match(removed.stderr, /failed to read \S+default_kept\.json/);
    assert.deepEqual(await running(), atStart);
    assert.match(await pods.apply(withData), /warning: failed to read[\s\S]*pod kept: Running/);
    await pods.remove('kept');
    assert.deepEqual(await running(), []);
  });
});
