/** What an operator decided, and what others need, outlives installing, upgrading and removing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './ground/host.ts';
import { Packages, packaged } from './ground/package.ts';
import { standInForSystemd } from './ground/systemd.ts';

const packages = new Packages();
const deb = packaged('.deb');

const told = (host: Host): Promise<string> => host.run('cat /run/systemd/told 2>/dev/null || true');
/** systemctl answers `is-enabled` with this state for the agent. */
async function agentIs(host: Host, state: string): Promise<void> {
  const answers = `case "$*" in "is-enabled weftd.service") echo ${state}; exit 1 ;; "is-active"*) exit 3 ;; esac`;
  await host.run(`sed -i '2i ${answers}' /run/stand-ins/systemctl && : >/run/systemd/told`);
}

for (const state of ['disabled', 'masked']) {
  test(`install.sh, upgrade of an agent that is ${state}: it is neither enabled nor started`, async (t) => {
    const host = await Host.of(t);
    await standInForSystemd(host);
    await host.run(`${packages.original}/install.sh`);
    assert.match(await told(host), /enable .*weftd\.service/);
    await agentIs(host, state);
    const newer = packages.variant(`newer-${state}`, { VERSION: '99.0.0\n' });
    assert.match(await host.run(`${newer}/install.sh`), new RegExp(`weftd.service is ${state}`));
    assert.doesNotMatch(await told(host), /enable |restart/);
    assert.equal(await host.run('cat /opt/weft/current/VERSION'), '99.0.0');
  });

  test(`Debian package, reinstalled over an agent that is ${state}: it is neither enabled nor started`, async (t) => {
    const host = await Host.of(t);
    await standInForSystemd(host);
    await host.run(`dpkg -i ${deb}`);
    await host.run('test -L /etc/systemd/system/multi-user.target.wants/weftd.service');
    if (state === 'masked') await host.run('ln -s /dev/null /etc/systemd/system/weftd.service');
    else await host.run('rm /etc/systemd/system/multi-user.target.wants/weftd.service');
    await agentIs(host, state);
    await host.run(`dpkg -i ${deb}`);
    assert.doesNotMatch(await told(host), /enable .*weftd|restart .*weftd/);
    if (state === 'masked') await host.run('test /dev/null -ef /etc/systemd/system/weftd.service');
    else await host.run('test ! -e /etc/systemd/system/multi-user.target.wants/weftd.service');
  });
}

test('Debian package, policy-rc.d forbids it: nothing is started', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  await host.run('printf "#!/bin/sh\\nexit 101\\n" >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d');
  assert.match(await host.run(`dpkg -i ${deb}`), /policy-rc\.d/);
  assert.doesNotMatch(await told(host), /start /);
});

test('Debian package in a chroot without systemd: its units are enabled, and it goes without a trace', async (t) => {
  const host = await Host.of(t);
  await host.run(`dpkg -i ${deb}`);
  for (const link of ['multi-user.target.wants/weftd.service', 'sockets.target.wants/weft-cni.socket']) {
    await host.run(`test -L /etc/systemd/system/${link}`);
  }
  await host.run('dpkg -P weft');
  assert.equal(
    await host.run('find /etc/systemd /var/lib/systemd /opt /etc/weft -name "*weft*" 2>/dev/null || true'),
    '',
  );
});

test('Debian package, removed and installed again: the agent is enabled again', async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  await host.run(`dpkg -i ${deb} && dpkg -r weft && dpkg -i ${deb}`);
  await host.run('test -e /etc/systemd/system/multi-user.target.wants/weftd.service');
});

test("Debian package over an installation by install.sh: its files take the others' place", async (t) => {
  const host = await Host.of(t);
  await standInForSystemd(host);
  const older = packages.variant('older', { VERSION: '0.0.9\n' });
  await host.run(`${older}/install.sh`);
  await host.run('mkdir -p /etc/systemd/system/multi-user.target.wants');
  await host.run('ln -s /etc/systemd/system/weftd.service /etc/systemd/system/multi-user.target.wants/');
  await host.run('cd /etc/systemd/system && mkdir weftd.service.d && touch weftd.service.d/mine.conf');
  await host.run(`dpkg -i ${deb}`);
  assert.equal(await host.run('ls -d /etc/systemd/system/weft*'), '/etc/systemd/system/weftd.service.d');
  assert.equal(
    await host.run('readlink -e /etc/systemd/system/multi-user.target.wants/weftd.service'),
    '/usr/lib/systemd/system/weftd.service',
  );
  assert.equal(await host.run('ls /opt/weft | sort | tr "\\n" " "'), `${packages.version} current`);
  await host.run('test ! -e /usr/local/bin/weftctl');
});

test('plugin loopback: placed where there is none, and removed while it is still of weft', async (t) => {
  const host = await Host.of(t);
  await host.run('mkdir -p /usr/lib/cni && echo theirs >/usr/lib/cni/loopback');
  await host.run(`${packages.original}/install.sh --no-service`);
  assert.equal(await host.run('cat /usr/lib/cni/loopback'), 'theirs');
  assert.match(
    await host.run('env CNI_COMMAND=VERSION /opt/cni/bin/loopback </dev/null'),
    /"supportedVersions"/,
  );
  await host.run('/opt/weft/current/install.sh --uninstall --no-service');
  assert.equal(await host.run('cat /usr/lib/cni/loopback'), 'theirs');
  await host.run('test ! -e /opt/cni/bin/loopback && test ! -L /opt/cni/bin/loopback');

  await host.run(`${packages.original}/install.sh --no-service`);
  await host.run('rm /opt/cni/bin/loopback && echo another >/opt/cni/bin/loopback');
  await host.run('/opt/weft/current/install.sh --uninstall --no-service');
  assert.equal(await host.run('cat /opt/cni/bin/loopback'), 'another');
});

test('lintian, Debian package: no errors', async (t) => {
  const host = await Host.of(t);
  const { output } = await host.attempt(`lintian --fail-on none ${deb}`);
  assert.deepEqual(
    output.split('\n').filter((line) => line.startsWith('E:')),
    [],
  );
});

test('agent, weft.yaml is not valid: its status keeps systemd from starting it again', async (t) => {
  const host = await Host.of(t);
  await host.run(`${packages.original}/install.sh --no-service`);
  const { status, output } = await host.attempt(
    'echo "netwrok: 1" >/run/w.yaml; /opt/weft/current/bin/weftd --config /run/w.yaml',
  );
  assert.equal(status, 78, output);
  assert.match(
    await host.run('cat /opt/weft/current/systemd/weftd.service'),
    /^RestartPreventExitStatus=78$/m,
  );
});
