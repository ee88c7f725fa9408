/** weft-podd under a real systemd: it runs while there are pods. Docker is unreachable: they wait, and so does it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from './ground/host.ts';
import { install, pair } from './ground/nodes.ts';
import { Packages } from './ground/package.ts';

const packages = new Packages();

/** A pod's file, as weftctl writes it. */
const order = JSON.stringify({
  version: 1,
  pod: {
    namespace: 'default',
    name: 'web',
    labels: {},
    annotations: {},
    hostname: 'web',
    initContainers: [],
    containers: [
      { name: 'a', image: 'i:1', pullPolicy: 'Never', env: [], ports: [], mounts: [], probes: {} },
    ],
    restartPolicy: 'Always',
    volumes: [],
    dns: { inheritsHost: true, nameservers: [], searches: [], options: [] },
    graceSeconds: 5,
    bandwidth: {},
  },
  digest: 'd',
  appliedAt: '2026-01-01T00:00:00.000Z',
  uid: '1f2e3d4c-0000-4000-8000-000000000001',
});

const writeOrder = (host: Host, stateDir = '/var/lib/weft'): Promise<string> =>
  host.run(`mkdir -p ${stateDir}/pods/wanted && echo '${order}' >${stateDir}/pods/wanted/default_web.json`);

const stateOf = async (host: Host, unit = 'weft-podd.service'): Promise<string> =>
  (await host.attempt(`systemctl is-active '${unit}'`)).output.trim();

const until = (host: Host, state: string, unit = 'weft-podd.service'): Promise<string> =>
  host.run(`left=300
    until [ "$(systemctl is-active '${unit}')" = ${state} ]; do left=$((left - 1)); [ $left -gt 0 ]; sleep 0.1; done`);

test('weft-podd without pods: enabled, and ended by itself', async (t) => {
  const [host] = await pair(t);
  await install(host, packages.original);
  await until(host, 'inactive');
  assert.equal(await host.run('systemctl is-enabled weft-podd.service'), 'enabled');
  assert.equal(await host.run('systemctl show --property=Result --value weft-podd.service'), 'success');
});

test('order of weftctl: weft-podd is started, restarted after a kill, and ends with the last order', async (t) => {
  const [host] = await pair(t);
  await install(host, packages.original);
  await until(host, 'inactive');
  await writeOrder(host);
  await host.run('weftctl pod rm web --timeout 0');
  assert.equal(await stateOf(host), 'active');
  await host.run(`systemctl kill --signal=KILL weft-podd.service
    until systemctl show --property=NRestarts weft-podd.service | grep -qx NRestarts=1; do sleep 0.1; done`);
  await until(host, 'active');
  await host.run('rm /var/lib/weft/pods/wanted/default_web.json');
  await until(host, 'inactive');
});

test('upgrade while an order waits: weft-podd runs the new version, then ends with weft', async (t) => {
  const [host] = await pair(t);
  await install(host, packages.original);
  await writeOrder(host);
  await host.run('systemctl restart weft-podd.service');
  const before = await host.run('systemctl show --property=MainPID --value weft-podd.service');
  await host.run(`${packages.variant('podd-upgrade', { VERSION: '99.0.0\n' })}/install.sh`);
  await until(host, 'active');
  assert.notEqual(await host.run('systemctl show --property=MainPID --value weft-podd.service'), before);
  const refused = await host.attempt('/opt/weft/current/install.sh --uninstall');
  assert.equal(refused.status, 1);
  assert.match(refused.output, /1 pods on Docker run on this node: weftctl pod rm removes them/);
  await host.run('rm /var/lib/weft/pods/wanted/default_web.json');
  await until(host, 'inactive');
  await host.run('/opt/weft/current/install.sh --uninstall --purge');
  assert.equal(await host.run('find /etc/systemd/system -name "weft*"'), '');
});

test('order of another configuration: a unit of its own is started', async (t) => {
  const [host] = await pair(t);
  await install(host, packages.original);
  await host.run(
    'mkdir -p /etc/weft && printf "stateDir: /srv/weft\\nrunDir: /run/weft-2\\n" >/etc/weft/second.yaml',
  );
  await writeOrder(host, '/srv/weft');
  await host.run('weftctl pod rm web --timeout 0 --config /etc/weft/second.yaml');
  assert.equal(await stateOf(host, 'weft-podd@etc-weft-second.yaml.service'), 'active');
  assert.equal(await stateOf(host), 'inactive');
  await host.run('rm /srv/weft/pods/wanted/default_web.json');
  await until(host, 'inactive', 'weft-podd@etc-weft-second.yaml.service');
  await host.run('/opt/weft/current/install.sh --uninstall --purge');
  assert.equal(await host.run('find /etc/systemd/system -name "weft*"'), '');
});
