/** install.sh on hosts as they should be: install, again, upgrade, back, off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './ground/host.ts';
import { Packages } from './ground/package.ts';
import { standInForSystemd } from './ground/systemd.ts';

const packages = new Packages();
const { version } = packages;

/** Every path of an installation with its kind, mode, size and change time: the same before and after is untouched. */
const inventory =
  'find /opt /etc /usr/local /usr/lib/cni /var/lib/weft -printf "%p %y %m %s %T@ %l\\n" 2>/dev/null | sort || true';

test('what is installed runs on the Node.js that it brings', async (t) => {
  const host = await Host.of(t);
  await host.run('mkdir -p /usr/lib/cni');
  await host.run(`${packages.original}/install.sh --no-service`);
  // Nothing of the host's own Node.js is in this PATH.
  const at = (command: string): Promise<string> => host.run(`PATH=/usr/local/bin:/bin ${command}`);
  assert.match(await at('weftctl --help'), /Usage: weftctl/);
  assert.equal(await at('/opt/weft/current/bin/weftd --version'), version);
  assert.match(await at('/opt/weft/current/bin/node --version'), /^v24\./);
  for (const plugin of ['/opt/cni/bin/weft', '/usr/lib/cni/weft']) {
    assert.match(await at(`env CNI_COMMAND=VERSION ${plugin} </dev/null`), /"supportedVersions"/);
  }
  assert.match(
    await at('env CNI_COMMAND=VERSION /opt/weft/current/cni/weft-standalone <<<"{}"'),
    /"supportedVersions"/,
  );
});

test('a second run changes nothing', async (t) => {
  const host = await Host.of(t);
  await host.run(`${packages.original}/install.sh --no-service`);
  const before = await host.run(inventory);
  await host.run(`${packages.original}/install.sh --no-service`);
  assert.equal(await host.run(inventory), before);
});

test('--check changes nothing', async (t) => {
  const host = await Host.of(t);
  const before = await host.run(inventory);
  assert.match(await host.run(`${packages.original}/install.sh --check --no-service`), /nothing keeps weft/);
  assert.equal(await host.run(inventory), before);
});

test('an upgrade is one link away from the version before, which --rollback brings back', async (t) => {
  const host = await Host.of(t);
  const newer = packages.variant('newer', { VERSION: '99.0.0\n' });
  await host.run(`${packages.original}/install.sh --no-service`);
  await host.run(`${newer}/install.sh --no-service`);
  assert.equal(await host.run('readlink /opt/weft/current'), '99.0.0');
  await host.run('/opt/weft/current/install.sh --rollback');
  assert.equal(await host.run('cat /opt/weft/current/VERSION'), version);
  await host.run('/opt/weft/current/install.sh --rollback');
  assert.equal(await host.run('cat /opt/weft/current/VERSION'), '99.0.0');
});

test('another build of the same version has a folder of its own, and what is older than the one before goes', async (t) => {
  const host = await Host.of(t);
  const other = packages.variant('other', { 'weft.yaml': '# another build\n' });
  const newer = packages.variant('newest', { VERSION: '99.0.1\n' });
  for (const each of [packages.original, other, newer]) await host.run(`${each}/install.sh --no-service`);
  const folders = (
    await host.run('cd /opt/weft && find . -mindepth 1 -maxdepth 1 -type d -printf "%P\\n" | sort')
  ).split('\n');
  assert.equal(folders.length, 2);
  assert.match(folders[0] ?? '', new RegExp(`^${version}-[0-9a-f]{8}$`));
  assert.equal(folders[1], '99.0.1');
});

test('under systemd, units are in place, the socket stays through an upgrade and the agent is restarted', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  await host.run(`${packages.original}/install.sh`);
  await host.run('cmp /etc/systemd/system/weftd.service /opt/weft/current/systemd/weftd.service');
  await host.run('cmp /etc/systemd/system/weft-cni.socket /opt/weft/current/systemd/weft-cni.socket');
  await host.run('cmp /etc/systemd/system/weft-podd.service /opt/weft/current/systemd/weft-podd.service');
  await host.run('rm /run/systemd/told');
  await host.run(`${packages.variant('upgrade', { VERSION: '99.0.2\n' })}/install.sh`);
  const told = (await host.run('cat /run/systemd/told')).split('\n');
  assert.ok(told.includes('restart --no-block weftd.service'));
  assert.ok(told.includes('restart --no-block weft-podd.service'));
  assert.deepEqual(
    told.filter((line) => /(stop|restart) .*socket/.test(line)),
    [],
  );
});

test('a version that does not start is taken back, with its configuration, and its last words are shown', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host, ['99.0.3']);
  await host.run(
    `echo 'masquerade: false' >${host.shared}/mine.yaml && ${packages.original}/install.sh --config ${host.shared}/mine.yaml`,
  );
  await host.run(`echo 'masquerade: true' >${host.shared}/new.yaml`);
  const broken = packages.variant('broken', { VERSION: '99.0.3\n' });
  const { status, output } = await host.attempt(`${broken}/install.sh --config ${host.shared}/new.yaml`);
  assert.equal(status, 1);
  assert.match(output, /last words/);
  assert.match(output, /the node is as it was/);
  assert.equal(
    await host.run('cat /opt/weft/current/VERSION /run/systemd/running /etc/weft/weft.yaml'),
    `${version}\n${version}\nmasquerade: false`,
  );
});

test('a first installation that does not start leaves nothing', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host, [version]);
  const before = await host.run(
    'find /opt /etc /usr/local /var/lib/weft /run/weft 2>/dev/null | sort || true',
  );
  assert.equal((await host.attempt(`${packages.original}/install.sh`)).status, 1);
  assert.equal(
    await host.run('find /opt /etc /usr/local /var/lib/weft /run/weft 2>/dev/null | sort || true'),
    before,
  );
});

test('a configuration that is there is kept', async (t) => {
  const host = await Host.of(t);
  await host.run("mkdir -p /etc/weft && echo 'masquerade: false' >/etc/weft/weft.yaml");
  await host.run(`${packages.original}/install.sh --no-service`);
  assert.equal(await host.run('cat /etc/weft/weft.yaml'), 'masquerade: false');
});

test('systemd accepts the units', async (t) => {
  const host = await Host.of(t);
  await host.run(`${packages.original}/install.sh --no-service`);
  assert.equal(
    await host.run(
      'cd /opt/weft/current/systemd && systemd-analyze verify ./weftd.service ./weft-cni.socket ./weft-podd.service ./weft-podd@x.service 2>&1',
    ),
    '',
  );
});
