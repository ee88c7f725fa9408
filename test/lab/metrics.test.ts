/** `/metrics` of agents in a lab, as a real Prometheus reads it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { run } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { eventually, labName, leftovers } from './ground.ts';

const name = labName('metrics');
const monitoring = join(fileURLToPath(new URL('../../../', import.meta.url)), 'deploy/monitoring');
let lab: Lab;

/** Runs a small program on a node: there is no curl that every machine has. */
const fetchOn = (node: string, url: string): Promise<string> =>
  lab
    .node(node)
    .mustExec([
      process.execPath,
      '--input-type=module',
      '-e',
      'const a = await fetch(process.argv[1]); process.exitCode = a.ok ? 0 : 1; process.stdout.write(await a.text());',
      url,
    ]);

const series = (text: string, named: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`${named} `));
  return line === undefined ? undefined : Number(line.slice(named.length + 1));
};

describe('metrics', () => {
  before(async () => {
    lab = await Lab.up({
      name,
      nodes: 2,
      configuration: {
        probes: { period: '1s', failureThreshold: 2 },
        metrics: { listen: '0.0.0.0:9473', perPeer: true },
      },
    });
    await lab.pod('node-1', 'a');
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  it('agent with a pod and a peer: values are those of the node, and promtool accepts the text', async () => {
    const text = await eventually(async () => {
      const read = await fetchOn('node-1', 'http://127.0.0.1:9472/metrics');
      assert.equal(series(read, 'weft_peer_reachable{peer="node-2",family="ipv4",path="tunnel"}'), 1);
      return read;
    });
    assert.equal(series(text, 'weft_ready'), 1);
    assert.equal(series(text, 'weft_peers'), 1);
    assert.equal(series(text, 'weft_peers_complete'), 1);
    assert.equal(series(text, 'weft_guard_dropped_packets{direction="received"}'), 0);
    assert.ok(Number(series(text, 'weft_store_request_duration_seconds_count{operation="commit"}')) > 0);
    assert.equal(series(text, 'weft_addresses_in_use'), 1);
    assert.equal(series(text, 'weft_addresses_free'), 252);
    assert.equal(series(text, 'weft_cni_call_duration_seconds_count{verb="ADD"}'), 1);
    assert.ok(Number(series(text, 'weft_lease_seconds_left')) > 0);
    assert.ok(Number(series(text, 'weft_device_transmit_packets_total{device="weft.1"}')) > 0);
    const checked = await run(['promtool', 'check', 'metrics'], { input: text });
    assert.equal(checked.status, 0, checked.stderr);
  });

  it('drift that is repaired, a peer that goes silent: counted', async () => {
    const read = () => fetchOn('node-1', 'http://127.0.0.1:9472/metrics');
    const changes = 'weft_reconcile_changes_total{part="overlay IPv4"}';
    const earlier = Number(series(await read(), changes));
    await lab.node('node-1').mustExec(['ip', 'link', 'del', 'weft.1']);
    await eventually(async () => assert.ok(Number(series(await read(), changes)) > earlier));
    const { agent } = lab.node('node-2');
    await agent.stop('SIGKILL');
    await eventually(async () => {
      const text = await read();
      assert.equal(series(text, 'weft_peers_unreachable'), 1);
      assert.equal(series(text, 'weft_events_total{event="peer.unreachable"}'), 1);
    });
    await agent.start();
  });

  it('address of its own: serves metrics and nothing else', async () => {
    const address = lab.node('node-1').addresses[0];
    assert.match(await fetchOn('node-2', `http://${address}:9473/metrics`), /^weft_ready 1$/m);
    await assert.rejects(fetchOn('node-2', `http://${address}:9473/status`));
  });

  it('Prometheus on a node: scrapes both agents, and its rules load', async () => {
    const node = lab.node('node-1');
    const folder = '/run/prometheus';
    await node.mustExec(['mkdir', '-p', folder]);
    writeFileSync(
      node.path(`${folder}/prometheus.yml`),
      stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [join(monitoring, 'alerts.yaml')],
        scrape_configs: [
          {
            job_name: 'weft',
            static_configs: [{ targets: lab.nodes.map(({ addresses }) => `${addresses[0]}:9473`) }],
          },
        ],
      }),
    );
    const [program = '', ...args] = node.command([
      'prometheus',
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      '--web.listen-address=127.0.0.1:9090',
      '--log.level=warn',
    ]);
    const prometheus: ChildProcess = spawn(program, args, {
      stdio: 'ignore',
      env: node.environment(),
    });
    const ended = once(prometheus, 'close');
    try {
      await eventually(async () => {
        const answer = await fetchOn('node-1', 'http://127.0.0.1:9090/api/v1/query?query=sum(weft_ready)');
        assert.equal(JSON.parse(answer).data.result[0]?.value[1], '2');
      });
      const rules = JSON.parse(await fetchOn('node-1', 'http://127.0.0.1:9090/api/v1/rules')).data.groups;
      assert.ok(rules.flatMap((group: { rules: object[] }) => group.rules).length > 5);
    } finally {
      prometheus.kill('SIGTERM');
      await ended;
    }
  });

  it('alert rules: promtool accepts them', async () => {
    const { status, stderr } = await run(['promtool', 'check', 'rules', join(monitoring, 'alerts.yaml')]);
    assert.equal(status, 0, stderr);
  });
});
