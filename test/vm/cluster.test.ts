/**
 * Nodes that have a kernel, a systemd and a container runtime of their own, made by the scripts that Vagrant runs. The
 * tests are steps of one story, in this order: a machine takes minutes to make.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cluster } from './ground/cluster.ts';
import type { Machine } from './ground/machine.ts';
import { outsideAnswer } from './ground/network.ts';
import {
  askOutside,
  callPlugin,
  containerdPod,
  containerOf,
  dockerPod,
  keptPod,
  makeImage,
  mustPing,
  type Pod,
} from './ground/pods.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const over = new AbortController();
/** Twice what all of it takes on two cores. */
const timeoutMs = 1_800_000;
/** From here on: emulated, its start costs more than the rest of a boot. */
const withoutDocker = 'systemctl disable --now --quiet docker.service docker.socket';

describe('two machines with a kernel of their own', { timeout: timeoutMs }, () => {
  let cluster: Cluster;
  let first: Machine;
  let second: Machine;
  let pods: Pod[] = [];
  let subnet = '';
  let failed = false;

  before(async () => {
    cluster = await Cluster.prepare({ root, count: 2, signal: over.signal });
    const [one, two] = cluster.machines;
    assert.ok(one && two);
    [first, second] = [one, two];
  });
  after(async () => {
    over.abort();
    await cluster?.remove();
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      cluster?.abandon();
      process.exit(1);
    });
  }

  /** A step of the story: after a failure the rest says nothing. */
  function step(sentence: string, body: (t: TestContext) => Promise<void>): void {
    test(sentence, async (t) => {
      if (failed) return t.skip('an earlier step has failed');
      failed = true;
      await body(t);
      failed = false;
    });
  }

  const subnetOf = (machine: Machine): Promise<string> =>
    machine.run("sed -n 's/^FLANNEL_SUBNET=//p' /run/weft/subnet.env");
  const leases = (): Promise<string> => first.run('weftctl node list');
  const ready = (machine: Machine): Promise<string> =>
    machine.run(`left=240
      until systemctl is-active --quiet weftd && [ -e /run/weft/subnet.env ]; do
        left=$((left - 1)); [ $left -gt 0 ] || { journalctl -u weftd -n 30 --no-pager; exit 1; }
        sleep 1
      done`);

  step('are made nodes by the scripts that Vagrant runs, all at once', async () => {
    await Promise.all([cluster.up(first), cluster.up(second)]);
    await Promise.all([cluster.provision(second), cluster.provision(first)]);
    subnet = await subnetOf(second);
  });

  step('verify: every pod reaches every pod, with the largest packets too', async (t) => {
    const matrix = await cluster.verify();
    t.diagnostic(matrix);
    assert.match(matrix, /every pod reaches every pod/);
    assert.equal(await first.run('ip netns list'), '', 'nothing is left of it');
  });

  step('tell each other the private address, never the one that all of them have', async () => {
    for (const machine of [first, second]) {
      assert.match(await machine.run('ip -br -4 address show eth0'), /10\.0\.2\.15/);
    }
    const list = await leases();
    for (const { address } of [first, second]) assert.ok(list.includes(address), list);
    assert.doesNotMatch(list, /10\.0\.2\./);
  });

  step('refuse that address where the default route leads by it', async () => {
    const { status, stdout, stderr } = await second.attempt(`
      printf 'underlay: auto\\nbackend: { type: vxlan }\\nstore: { type: file, path: /tmp/store }\\nrunDir: /tmp/run\\nstateDir: /tmp/state\\nlisten: "off"\\n' >/tmp/weft.yaml
      timeout 60 /opt/weft/current/bin/weftd --config /tmp/weft.yaml`);
    assert.notEqual(status, 0);
    assert.match(stdout + stderr, /10\.0\.2\./);
  });

  step(
    "containerd's and Docker's pods, and those that weft keeps, reach each other, other nodes, and the outside",
    async () => {
      await Promise.all([makeImage(first), makeImage(second)]);
      pods = await Promise.all([
        containerdPod(first, 'ctr-1'),
        containerdPod(second, 'ctr-2'),
        dockerPod(first, 'docker-1'),
        keptPod(second, 'kept-2'),
      ]);
      await Promise.all(
        pods.map(async (from) => {
          await mustPing(
            from,
            [...pods, first, second].map(({ address }) => address),
          );
          assert.equal(await askOutside(from), outsideAnswer);
        }),
      );
    },
  );

  step("nodes reach the other nodes' pods", async () => {
    await Promise.all(
      [first, second].map((machine) =>
        machine.run(pods.map(({ address }) => `ping -q -c 2 -W 5 ${address}`).join(' && ')),
      ),
    );
  });

  step(
    'an upgrade under load loses no packet and fails no call for good, and neither does the way back',
    async () => {
      const target = pods.find(({ machine }) => machine === first);
      const other = pods.find(({ machine }) => machine === second);
      assert.ok(target && other);
      await second.run(`
      cp -r /opt/weft/current/ /root/newer
      cd /root/newer && echo 99.0.0 >VERSION
      sed -i "s#^.*  VERSION#$(sha256sum VERSION)#" SHA256SUMS`);
      // Pings from the pod that stays, and calls of the plugin, until told to stop: as many as one emulated processor can
      // do beside the upgrade. The package's own tests have the full load.
      await second.run(`
      nohup nsenter -n -t "$(docker inspect -f '{{.State.Pid}}' "$(${containerOf('kept-2', 'sandbox')})")" \
        ping -n -i 0.05 ${target.address} >/tmp/pings 2>&1 & echo $! >/tmp/pings.pid
      cat >/tmp/calls <<'SCRIPT'
        ip netns add calls
        while [ ! -e /tmp/calls.stop ]; do
          outcome=done
          ${callPlugin('ADD', 'calls', '/run/netns/calls')} >/tmp/calls.last || outcome="ADD: $(cat /tmp/calls.last)"
          ${callPlugin('DEL', 'calls', '/run/netns/calls')} >/tmp/calls.last || outcome="DEL: $(cat /tmp/calls.last)"
          echo "$outcome"
          sleep 3
        done
        ip netns delete calls
        echo end
SCRIPT
      nohup bash /tmp/calls >/tmp/calls.log 2>&1 &`);
      await second.run('/root/newer/install.sh');
      assert.equal(await second.run('cat /opt/weft/current/VERSION'), '99.0.0');
      await second.run('/opt/weft/current/install.sh --rollback');
      assert.notEqual(await second.run('cat /opt/weft/current/VERSION'), '99.0.0');
      await second.run(
        `touch /tmp/calls.stop; kill -INT "$(cat /tmp/pings.pid)"; until tail -n 1 /tmp/calls.log | grep -qx end; do sleep 0.2; done`,
      );
      const pings = await second.run("grep -o 'icmp_seq=[0-9]*' /tmp/pings | cut -d = -f 2");
      const answered = new Set(pings.split('\n').map(Number));
      // Those after the last that was answered are under way when ping is told to stop.
      const asked = Array.from({ length: Math.max(...answered) }, (_, index) => index + 1);
      assert.ok(asked.length > 100, pings);
      assert.deepEqual(
        asked.filter((sequence) => !answered.has(sequence)),
        [],
      );
      const calls = (await second.run('cat /tmp/calls.log')).split('\n');
      assert.ok(calls.filter((line) => line === 'done').length > 5, calls.join('\n'));
      // An emulated agent may take longer to start than a call waits: an ADD is told to come again, and nothing worse.
      assert.deepEqual(
        calls.filter((line) => /^(ADD|DEL): /.test(line) && !/^ADD: .*"code":11,/.test(line)),
        [],
      );
    },
  );

  step('a reboot leaks no address, and pods started again get one', async () => {
    await second.run(`weftctl pod rm kept-2; [ -z "$(docker ps -aq)" ]; ${withoutDocker}`);
    await second.reboot();
    await ready(second);
    assert.equal(await subnetOf(second), subnet);
    assert.equal(await second.run(`find /run/weft -path '*/ipam/*' -type f | wc -l`), '0');
    await second.run('ctr container rm ctr-2');
    const again = await containerdPod(second, 'ctr-2');
    pods = pods.filter(({ machine }) => machine === first);
    await mustPing(
      again,
      pods.map(({ address }) => address),
    );
  });

  step('a reboot while etcd is away: the node has its subnet, its peers and pods', async () => {
    await first.run('systemctl stop etcd');
    await second.reboot();
    await second.run('ctr container rm ctr-2');
    await second.run(
      'left=240; until [ -e /run/weft/subnet.env ]; do left=$((left - 1)); [ $left -gt 0 ]; sleep 1; done',
    );
    assert.equal(await subnetOf(second), subnet);
    const again = await containerdPod(second, 'ctr-2');
    await mustPing(
      again,
      pods.map(({ address }) => address),
    );
    await first.run('systemctl start etcd');
    await ready(second);
  });

  step('a machine whose power failed comes back with its subnet, and to its peers', async () => {
    await second.kill();
    await second.up();
    await ready(second);
    assert.equal(await subnetOf(second), subnet);
    assert.match(await cluster.verify(), /every pod reaches every pod/);
  });

  step('the store comes back from a reboot of its own, and the nodes with it', async () => {
    await first.run(withoutDocker);
    await first.reboot();
    await Promise.all([ready(first), ready(second)]);
    assert.match(await cluster.verify(), /every pod reaches every pod/);
  });

  step('a machine that was destroyed and made anew has the subnet of the old one', async () => {
    await second.destroy();
    await cluster.up(second);
    await cluster.provision(second);
    assert.equal(await subnetOf(second), subnet);
    assert.match(await cluster.verify(), /every pod reaches every pod/);
  });
});
