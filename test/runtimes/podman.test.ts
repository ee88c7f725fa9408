/** podman executes the plugin, with `network_backend = "cni"`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { archive, RuntimeGround } from './ground.ts';
import { image } from './image.ts';
import { Podman } from './podman.ts';

describe('podman', () => {
  let ground: RuntimeGround;
  let podman: Podman;

  before(async () => {
    ground = await RuntimeGround.raise('podman');
    const node = ground.lab.node('node-1');
    podman = await Podman.furnish({ node, archive, cgroup: ground.cgroup });
  });

  after(async () => {
    await podman?.do('rm', '--all', '--force', '--time', '0');
    await ground?.raze();
  });

  it('knows the network from its conflist', async () => {
    const names = await podman.must('network', 'ls', '--format', '{{.Name}}');
    assert.ok(names.split('\n').includes('weft'), names);
  });

  it('connects a container to pods of its own and of another node', async () => {
    const far = await ground.lab.pod('node-2', 'far');
    const near = await ground.lab.pod('node-1', 'near');
    await podman.run(['--name', 'one', '--network', 'weft'], image);
    for (const { addresses } of [near, far]) {
      const ping = await podman.do('exec', 'one', 'ping', '-c', '1', '-W', '2', addresses[0] ?? '');
      assert.equal(ping.status, 0, ping.stdout + ping.stderr);
    }
    await podman.must('rm', '--force', '--time', '0', 'one');
    await near.remove();
    await far.remove();
    assert.deepEqual(await ground.leftovers(podman.node), []);
  });

  it('gives a container the address and the MAC that were asked for', async () => {
    const subnet = (await ground.subnetOf(podman.node)).replace(/\.0\/24$/, '');
    const asked = ['--ip', `${subnet}.77`, '--mac-address', '02:00:00:00:77:01'];
    await podman.run(['--name', 'two', '--network', 'weft', ...asked], image);
    const shown = await podman.must('exec', 'two', 'ip', '-o', 'addr', 'show', 'eth0');
    assert.match(shown, new RegExp(`inet ${subnet}.77/24`));
    const link = await podman.must('exec', 'two', 'ip', 'link', 'show', 'eth0');
    assert.match(link, /02:00:00:00:77:01/);
    await podman.must('rm', '--force', '--time', '0', 'two');
    assert.deepEqual(await ground.leftovers(podman.node), []);
  });

  it("publishes a container's port to other nodes", async () => {
    const serve = ['httpd', '-f', '-p', '80', '-h', '/etc'];
    await podman.run(['--name', 'web', '--network', 'weft', '--publish', '8081:80'], image, ...serve);
    const [address = ''] = podman.node.addresses;
    assert.match(await ground.page(ground.lab.node('node-2'), address, 8081), /^root:/m);
    await podman.must('rm', '--force', '--time', '0', 'web');
    assert.deepEqual(await ground.leftovers(podman.node), []);
  });

  it('lets the containers of one pod speak on localhost, and nobody else', async () => {
    await podman.must(
      'pod',
      'create',
      '--name',
      'pod',
      '--network',
      'weft',
      '--infra-image',
      image,
      '--cgroup-parent',
      ground.cgroup,
    );
    await podman.run(
      ['--name', 'server', '--pod', 'pod'],
      image,
      'httpd',
      '-f',
      '-p',
      '127.0.0.1:8080',
      '-h',
      '/etc',
    );
    await podman.run(['--name', 'client', '--pod', 'pod'], image);
    const page = await podman.must('exec', 'client', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/passwd');
    assert.match(page, /^root:/);
    await podman.must('pod', 'rm', '--force', '--time', '0', 'pod');
    assert.deepEqual(await ground.leftovers(podman.node), []);
  });
});
