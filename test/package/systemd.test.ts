/** The package under a real systemd: units, the passed socket, reload, upgrade under load, and off again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Load } from './ground/load.ts';
import { install, pair } from './ground/nodes.ts';
import { Packages, packaged } from './ground/package.ts';
import { callPlugin } from './ground/plugin.ts';

const packages = new Packages();
const { original, version } = packages;

/** Stops at once, saying why. */
const brokenAgent = `#!/opt/weft/current/bin/node
if (!process.argv.includes('--check-config')) {
  console.error('no agent today');
  process.exit(1);
}
`;

/** What an installation could have changed: files, links, addresses, routes, firewall. */
const everything = `
  find /opt /etc /usr/local /usr/lib/systemd/system /usr/lib/cni /var/lib/weft /run/weft ! -path '/opt/store/*' 2>/dev/null | sort || true
  ip -o link show | cut -d ' ' -f 2; ip -br address | grep -o '[0-9.]*/[0-9]*' | sort; ip route; nft list ruleset
  cat /proc/sys/net/ipv4/ip_forward`;

test('I6, upgrade and rollback under load: no packet and no call is lost', async (t) => {
  const nodes = await pair(t);
  const pods: string[] = [];
  for (const node of nodes) {
    await install(node, original);
    pods.push(await node.run('weftctl sandbox add stays'));
  }
  const [first, second] = nodes;
  const load = new Load(first);
  await first.run(`until ip netns exec stays ping -q -c 1 -W 1 ${pods[1]} >/dev/null; do :; done`);
  await load.start({ namespace: 'stays', target: pods[1] ?? '' });
  const newer = packages.variant('under-load', { VERSION: '99.0.0\n' });
  await first.run(`${newer}/install.sh`);
  assert.equal(await first.run('cat /opt/weft/current/VERSION'), '99.0.0');
  await second.run(`${newer}/install.sh`);
  await first.run('/opt/weft/current/install.sh --rollback');
  assert.equal(await first.run('cat /opt/weft/current/VERSION'), version);
  const { sent, lost, calls, failures } = await load.stop();
  t.diagnostic(`${sent} pings, ${calls} pairs of ADD and DEL`);
  assert.ok(sent > 1000 && calls > 5);
  assert.deepEqual(failures, []);
  assert.equal(lost, 0, `of ${sent} pings`);
});

test('what comes while no agent runs waits in the socket, which starts one', async (t) => {
  const [host] = await pair(t);
  await install(host, original);
  const socket = await host.run('stat -c %i /run/weft/cni.sock');
  await host.run('systemctl stop weftd.service 2>/dev/null; ip netns add pod');
  assert.equal((await host.attempt('systemctl is-active weftd.service')).output.trim(), 'inactive');
  const call = { container: 'pod', netns: '/run/netns/pod' };
  assert.match(await host.run(callPlugin({ verb: 'ADD', ...call })), /"address": ?"10\.244\./);
  await host.run('until systemctl is-active --quiet weftd.service; do sleep 0.1; done');
  await host.run('systemctl kill --signal=KILL weftd.service');
  await host.run(callPlugin({ verb: 'DEL', ...call }));
  assert.equal(await host.run('stat -c %i /run/weft/cni.sock'), socket);
});

test('systemctl reload reads the configuration again', async (t) => {
  const [host] = await pair(t);
  await install(host, original);
  await host.run('nft list table inet weft | grep masquerade >/dev/null');
  const process = await host.run('systemctl show --property=MainPID weftd.service');
  await host.run(`echo 'masquerade: false' >>/etc/weft/weft.yaml
    systemctl reload weftd.service
    left=300
    while nft list table inet weft | grep masquerade >/dev/null; do left=$((left - 1)); [ $left -gt 0 ]; sleep 0.1; done`);
  assert.equal(await host.run('systemctl show --property=MainPID weftd.service'), process);
});

test('an agent that was restarted after a crash is no reason to take an upgrade back', async (t) => {
  const [host] = await pair(t);
  await install(host, original);
  await host.run(`systemctl kill --signal=KILL weftd.service
    until systemctl show --property=NRestarts weftd.service | grep -qx NRestarts=1; do sleep 0.1; done
    until systemctl is-active --quiet weftd.service; do sleep 0.1; done`);
  await host.run(`${packages.variant('after-a-crash', { VERSION: '99.0.0\n' })}/install.sh`);
  assert.equal(await host.run('cat /opt/weft/current/VERSION'), '99.0.0');
});

test('a version whose agent does not start is taken back, and the one before runs', async (t) => {
  const [host] = await pair(t);
  await install(host, original);
  const broken = packages.variant('no-start', { 'bin/weftd': brokenAgent, VERSION: '99.0.0\n' });
  const { status, output } = await host.attempt(`${broken}/install.sh`);
  assert.equal(status, 1);
  assert.match(output, /no agent today/);
  assert.match(output, new RegExp(`the node is as it was, with ${version}`));
  assert.equal(
    await host.run('systemctl is-active weftd.service && cat /opt/weft/current/VERSION'),
    `active\n${version}`,
  );
});

test('taken off, the host is as it was found; while pods run it is refused', async (t) => {
  const [host] = await pair(t);
  const found = await host.run(everything);
  await install(host, original);
  await host.run('weftctl sandbox add pod');
  const refused = await host.attempt('/opt/weft/current/install.sh --uninstall');
  assert.equal(refused.status, 1);
  assert.match(refused.output, /1 pods? .*drain it first/);
  await host.run('weftctl sandbox rm pod && /opt/weft/current/install.sh --uninstall --purge');
  assert.equal(await host.run(everything), found);
});

test('the Debian package starts the same units, and purged it has left nothing', async (t) => {
  const [host] = await pair(t);
  const found = await host.run(everything);
  await host.run(`install -D -m 644 ${host.shared}/weft.yaml /etc/weft/weft.yaml`);
  await host.run(`dpkg --force-confold -i ${packaged('.deb')}`);
  await host.run('until [ -e /etc/cni/net.d/10-weft.conflist ]; do sleep 0.1; done');
  assert.equal(await host.run('systemctl is-active weftd.service weft-cni.socket'), 'active\nactive');
  await host.run('weftctl sandbox add pod && weftctl sandbox rm pod');
  await host.run('dpkg -P weft');
  assert.equal(await host.run(everything), found);
});
