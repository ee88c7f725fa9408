/** Docker calls no plugins; `scripts/docker-network` does, for its containers. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { world } from '../../lab/topology.ts';
import { eventually } from '../lab/ground.ts';
import { Docker } from './docker.ts';
import { archive, RuntimeGround } from './ground.ts';

describe('Docker', () => {
  let ground: RuntimeGround;
  let docker: Docker;

  before(async () => {
    ground = await RuntimeGround.raise('docker');
    docker = await Docker.start({ node: ground.lab.node('node-1'), archive, cgroup: ground.cgroup });
  });

  after(async () => {
    await docker?.stop();
    await ground?.raze();
  });

  it('connects a container to pods of its own and of another node', async () => {
    const far = await ground.lab.pod('node-2', 'far');
    const near = await ground.lab.pod('node-1', 'near');
    const container = await docker.run('one');
    const added = await docker.network('add', 'one');
    assert.equal(added.status, 0, added.stderr);
    for (const { addresses } of [near, far]) {
      const ping = await docker.exec(container, 'ping', '-c', '1', '-W', '2', addresses[0] ?? '');
      assert.equal(ping.status, 0, ping.output);
    }
    const [own = ''] = /10\.244\.\d+\.\d+/.exec(added.stdout) ?? [];
    assert.equal(
      (await far.exec(['ping', '-c', '1', '-W', '2', own])).status,
      0,
      `${own} from the other node`,
    );
    const removed = await docker.network('del', 'one');
    assert.equal(removed.status, 0, removed.stderr);
    await container.remove({ force: true });
    await near.remove();
    await far.remove();
    assert.deepEqual(await ground.leftovers(docker.node), []);
  });

  it('drops what it does not know in FORWARD, and pods’ packets pass all the same, also when it starts anew', async () => {
    const { node } = docker;
    const far = await ground.lab.pod('node-2', 'far');
    const near = await ground.lab.pod('node-1', 'near');
    const forward = () => node.mustExec(['iptables', '-S', 'FORWARD']);
    const bothWays = async () => {
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        const ping = await from.exec(['ping', '-c', '1', '-W', '1', to.addresses[0] ?? '']);
        assert.equal(ping.status, 0, ping.stdout);
      }
      assert.equal((await near.exec(['ping', '-c', '1', '-W', '1', world.ipv4])).status, 0);
    };
    // Docker shuts the door where it is the one that switches forwarding on.
    await docker.halt('SIGTERM');
    await node.agent.stop();
    await node.mustExec(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    await docker.resume();
    assert.match(await forward(), /^-P FORWARD DROP$/m);
    await node.agent.start();
    await eventually(bothWays);
    assert.match(await forward(), /weft: packets that weft lets through.*-j ACCEPT/);
    // What it drops by name stays dropped.
    const [address = ''] = near.addresses;
    await node.mustExec(['iptables', '-I', 'DOCKER-USER', '-s', address, '-j', 'DROP']);
    assert.notEqual((await near.exec(['ping', '-c', '1', '-W', '1', far.addresses[0] ?? ''])).status, 0);
    await node.mustExec(['iptables', '-D', 'DOCKER-USER', '-s', address, '-j', 'DROP']);
    await docker.halt('SIGTERM');
    await node.mustExec(['iptables', '-F', 'FORWARD']);
    await docker.resume();
    await eventually(bothWays);
    await near.remove();
    await far.remove();
  });

  it("publishes a container's port to other nodes", async () => {
    const container = await docker.run('web');
    const added = await docker.network('add', 'web', '--publish', '8082:80');
    assert.equal(added.status, 0, added.stderr);
    await docker.exec(container, 'httpd', '-p', '80', '-h', '/etc');
    const [address = ''] = docker.node.addresses;
    assert.match(await ground.page(ground.lab.node('node-2'), address, 8082), /^root:/m);
    assert.equal((await docker.network('del', 'web')).status, 0);
    await container.remove({ force: true });
    assert.deepEqual(await ground.leftovers(docker.node), []);
  });

  it('lets go of what a container had that has ended or was removed', async () => {
    const container = await docker.run('two');
    assert.equal((await docker.network('add', 'two')).status, 0);
    await container.remove({ force: true });
    const removed = await docker.network('del', container.id);
    assert.equal(removed.status, 0, removed.stderr);
    assert.deepEqual(await ground.leftovers(docker.node), []);
  });

  it('does not touch a container that is on a network of Docker', async () => {
    const { id } = await docker.api.createContainer({ Image: 'localhost/weft/busybox:1' });
    const refused = await docker.network('add', id);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /--network none/);
  });
});
