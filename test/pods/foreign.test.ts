/** Containers with weft's labels that weft did not create: a label from an image is text that anybody may write. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Docker } from '../runtimes/docker.ts';
import { archive, RuntimeGround } from '../runtimes/ground.ts';
import { image } from '../runtimes/image.ts';
import { idleScript, manifest, Pods } from '../runtimes/pods.ts';

describe('container with weft labels that weft did not create', () => {
  let ground: RuntimeGround;
  let docker = undefined as unknown as Docker;
  let pods = undefined as unknown as Pods;

  before(async () => {
    ground = await RuntimeGround.raise('foreign');
    const [node] = ground.lab.nodes;
    if (!node) throw new Error('no node');
    docker = await Docker.start({ node, archive, cgroup: ground.cgroup });
    pods = new Pods(node);
    await pods.apply(manifest('own'));
  });

  after(async () => {
    try {
      await pods?.remove('own', '--grace-period', '0', '--ignore-not-found');
      await docker?.stop();
    } finally {
      await ground?.raze();
    }
  });

  async function runForeign(Labels: Record<string, string>, Image = image): Promise<string> {
    const made = await docker.api.createContainer({
      Image,
      Cmd: ['sh', '-c', idleScript],
      Labels,
      HostConfig: { NetworkMode: 'none' },
    });
    await made.start();
    return made.id;
  }

  /** Every container's event was handled by then: a pod that was applied later has come and gone. */
  async function settle(): Promise<void> {
    await pods.apply(manifest('later'));
    await pods.remove('later');
  }

  const isRunning = async (id: string): Promise<boolean> =>
    (await docker.api.getContainer(id).inspect()).State.Running;
  const remove = (id: string) => docker.api.getContainer(id).remove({ force: true });
  const ownLabels = async (): Promise<Record<string, string>> => {
    const id = (await pods.see('own'))?.containers[0]?.id ?? '';
    return (await docker.api.getContainer(id).inspect()).Config.Labels;
  };

  it(
    'label weft.pod holds a path: no file outside the pods folder is changed, the container keeps ' +
      'running',
    async () => {
      const victim = pods.node.path('/var/lib/weft/important.json');
      writeFileSync(victim, 'precious');
      const labels = {
        'weft.pod': '../../important',
        'weft.role': 'app',
        'weft.container': 'x',
        'weft.uid': 'u',
      };
      const id = await runForeign(labels);
      await settle();
      assert.equal(readFileSync(victim, 'utf8'), 'precious');
      assert.equal(await isRunning(id), true);
      await remove(id);
    },
  );

  it('label weft.pod holds a path to a new file: no file is created', async () => {
    const id = await runForeign({ 'weft.pod': '../../created', 'weft.role': 'sandbox' });
    await settle();
    assert.equal(existsSync(pods.node.path('/var/lib/weft/created.json')), false);
    assert.equal(await isRunning(id), true);
    await remove(id);
  });

  it('labels of a running pod with another uid: no hook runs, the container keeps running', async () => {
    const preStop = { kind: 'exec', command: ['sh', '-c', 'echo >/www/hooked'] };
    const id = await runForeign({
      'weft.pod': 'default_own',
      'weft.uid': '00000000-0000-4000-8000-000000000000',
      'weft.role': 'app',
      'weft.container': 'main',
      'weft.attempt': '999',
      'weft.stop': JSON.stringify({ graceSeconds: 0, preStop }),
    });
    await settle();
    const { output } = await docker.exec(docker.api.getContainer(id), 'ls', '/www');
    assert.ok(!output.includes('hooked'), output);
    assert.equal(await isRunning(id), true);
    await remove(id);
  });

  it('labels of a pod that does not exist: the container keeps running', async () => {
    const id = await runForeign({ 'weft.pod': 'default_nobody', 'weft.role': 'app', 'weft.container': 'x' });
    await settle();
    assert.equal(await isRunning(id), true);
    await remove(id);
  });

  it('image committed from a container of a pod: the container keeps running, exec reaches the pod', async () => {
    const labels = await ownLabels();
    const id = await runForeign({ ...labels, 'weft.attempt': '999' });
    await settle();
    assert.equal(await isRunning(id), true);
    const { stdout } = await pods.exec('own', 'busybox', 'hostname');
    assert.equal(stdout.trim(), 'own');
    assert.equal((await pods.see('own'))?.restarts, 0);
    await remove(id);
  });

  it('volume with the uid label of a pod: the volume is kept when the pod is removed', async () => {
    const { 'weft.uid': uid = '' } = await ownLabels();
    await docker.api.createVolume({ Name: 'precious', Labels: { 'weft.uid': uid } });
    await pods.remove('own');
    const { Volumes } = await docker.api.listVolumes();
    assert.deepEqual(
      Volumes.map(({ Name }) => Name),
      ['precious'],
    );
    await docker.api.getVolume('precious').remove();
  });
});
