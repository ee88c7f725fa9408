/** The Debian package: dpkg's files, install.sh's work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './ground/host.ts';
import { packaged } from './ground/package.ts';
import { standInForSystemd } from './ground/systemd.ts';

const deb = packaged('.deb');

test('it starts the agent, keeps a configuration, refuses to go while pods run, and leaves nothing', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  await host.run(`dpkg -i ${deb}`);
  assert.match(await host.run('cat /run/systemd/told'), /restart --no-block weftd\.service/);
  assert.match(await host.run('weftctl --help'), /Usage: weftctl/);
  for (const plugin of ['/opt/cni/bin/weft', '/usr/lib/cni/weft']) {
    assert.match(await host.run(`env CNI_COMMAND=VERSION ${plugin} </dev/null`), /"supportedVersions"/);
  }
  const { status, output } = await host.attempt('/opt/weft/current/install.sh --no-service');
  assert.equal(status, 1);
  assert.match(output, /installed here as a Debian package/);

  await host.run('ip link add pod type veth peer name eth0 && ip link set pod alias weft:weft/abc/eth0');
  const refused = await host.attempt('dpkg -r weft');
  assert.notEqual(refused.status, 0);
  assert.match(refused.output, /1 pods? .*drain it first/);
  await host.run('ip link delete pod');
  await host.run('dpkg -P weft');
  assert.equal(
    await host.run(
      'find /opt /etc/weft /etc/cni/net.d /var/lib/weft /run/weft -name "*weft*" 2>/dev/null || true',
    ),
    '',
  );
});
