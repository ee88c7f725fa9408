/** The units under a real systemd, at boot: what waits for the agent, and what becomes of one that cannot start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './ground/host.ts';
import { Packages } from './ground/package.ts';

const { original } = new Packages();

test('units wanted by multi-user.target: the target does not wait for them, and they start', async (t) => {
  const host = await withUnits(t);
  assert.doesNotMatch(await host.run('systemctl show -p After --value multi-user.target'), /weft/);
  assert.match(await host.run('systemctl show -p Wants --value multi-user.target'), /weftd\.service/);
  assert.match(await host.run('systemctl show -p Before --value weftd.service'), /shutdown\.target/);
  await host.run('systemctl start weftd.service');
  assert.equal(await host.run('systemctl is-active weftd.service'), 'active');
  await host.run('systemctl stop weft-cni.socket weftd.service');
});

test('agent, weft.yaml is not valid: systemd does not start it again', async (t) => {
  const host = await withUnits(t);
  await host.run('echo "netwrok: 10.0.0.0/8" >/etc/weft/weft.yaml');
  assert.notEqual((await host.attempt('systemctl start weftd.service')).status, 0);
  assert.equal(
    await host.run('systemctl show -p SubState -p NRestarts -p ExecMainStatus weftd.service | sort'),
    'ExecMainStatus=78\nNRestarts=0\nSubState=failed',
  );
  await host.run('rm /etc/weft/weft.yaml && systemctl start weftd.service');
});

/** A host with the package's units enabled and nothing started. */
async function withUnits(t: Parameters<typeof Host.withSystemd>[0]): Promise<Host> {
  const host = await Host.withSystemd(t);
  await host.run(`ip link add eth0 type veth peer name far && ip link set eth0 up && ip link set far up
    ip address add 192.168.188.101/24 dev eth0 && ip route add default via 192.168.188.1`);
  await host.run(`${original}/install.sh --no-service`);
  await host.run('cp /opt/weft/current/systemd/* /etc/systemd/system/');
  await host.run(
    'systemctl enable weft-cni.socket weftd.service weft-podd.service && systemctl daemon-reload',
  );
  return host;
}
