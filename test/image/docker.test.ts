/** The image in Docker, as `docker load` takes it. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { it } from 'node:test';
import { mustRun } from '../../lab/command.ts';
import { imageArchive, imageName } from '../../lab/kubernetes/weft.ts';
import { nodeCgroup } from '../../lab/names.ts';
import { packageRoot } from '../../lab/product.ts';
import { labName, withLab } from '../lab/ground.ts';
import { Docker } from '../runtimes/docker.ts';

it('docker load: the image has its name, and a container of it says the version', async () => {
  await mustRun([process.execPath, `${packageRoot()}/build/scripts/image.js`]);
  const name = labName('image');
  await withLab({ name, nodes: 1 }, async (lab) => {
    const node = lab.node('node-1');
    mkdirSync(node.path('/var/lib/weft-image'));
    const archive = '/var/lib/weft-image/image.tar';
    copyFileSync(imageArchive(), node.path(archive));
    const docker = await Docker.start({ node, archive, cgroup: nodeCgroup(name, node.name) });
    try {
      const image = imageName();
      const { Architecture, Config } = await docker.api.getImage(image).inspect();
      assert.equal(Architecture, process.arch === 'x64' ? 'amd64' : 'arm64');
      const container = await docker.api.createContainer({
        name: 'weft',
        Image: image,
        Cmd: ['--version'],
        HostConfig: { NetworkMode: 'none' },
      });
      await container.start();
      const { StatusCode } = await container.wait();
      const said = (await container.logs({ stdout: true, stderr: true })).toString();
      assert.equal(StatusCode, 0, said);
      assert.ok(said.includes(Config.Labels?.['org.opencontainers.image.version'] ?? 'no label'), said);
    } finally {
      await docker.stop();
    }
  });
});
