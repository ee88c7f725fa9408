/** `vagrant up` itself, with Debian's vagrant-libvirt, on processors that qemu emulates. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packaged } from '../package/ground/package.ts';
import { ensureImage } from '../vm/ground/image.ts';
import { makeBox } from './ground/box.ts';
import { VagrantHost } from './ground/host.ts';
import { scratch } from './ground/scratch.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const whole = /every pod reaches every pod, with packets of 1450 bytes too/;
const subnet = 'sed -n s/^FLANNEL_SUBNET=//p /run/weft/subnet.env';

test('vagrant up ends with pods that reach each other, and a machine made anew has its old subnet', async (t) => {
  const image = await ensureImage(root, t.signal);
  const box = join(scratch(t), 'weft.box');
  await makeBox({ image, box });
  const vagrant = await VagrantHost.start(t, { root, box, package: packaged('.tar.gz'), count: 2 });

  const up = await vagrant.run('up');
  assert.match(up, whole);

  // Under libvirt each machine has an address of its own on the interface that is not for the nodes.
  const list = await vagrant.on('node-1', 'weftctl node list');
  for (const address of ['192.168.56.101', '192.168.56.102']) assert.ok(list.includes(address), list);
  assert.doesNotMatch(list, /192\.168\.121\./);

  assert.match(await vagrant.run('provision --provision-with verify'), whole);

  const before = await vagrant.on('node-2', subnet);
  await vagrant.run('destroy -f node-2');
  assert.match(await vagrant.run('up node-2'), whole);
  assert.equal(await vagrant.on('node-2', subnet), before);

  await vagrant.run('destroy -f');
});
