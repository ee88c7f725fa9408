/** Breaks the way from one pod to another, and has `weftctl trace` say at which hop of which node packets stop. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Trace } from '../../agent/trace/trace.ts';
import { type Outcome, run } from '../../lab/command.ts';
import { damages, damageVariables, shellOn } from '../../lab/damage.ts';
import { Lab } from '../../lab/lab.ts';
import { fabric, labFolder, netnsPath } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import type { LabPod } from '../../lab/pod.ts';
import { weftctl } from './diagnosis.ts';
import { eventually, labName, leftovers } from './ground.ts';

const name = labName('trace-pods');
const STOPS = 2;

let lab: Lab;
let one: LabNode;
let two: LabNode;
let a: LabPod;
let b: LabPod;

const addressOf = ({ addresses: [address = ''] }: LabPod): string => address;
const sh = (node: LabNode, commands: string): Promise<string> => node.mustExec(['sh', '-ec', commands]);
const inPod = async (pod: LabPod, commands: string): Promise<void> => {
  const { status, stderr } = await pod.exec(['sh', '-ec', commands]);
  assert.equal(status, 0, stderr);
};
const onFabric = (commands: string): Promise<Outcome> =>
  run(['nsenter', `--net=${netnsPath(name, fabric)}`, 'sh', '-ec', commands]);

const runTrace = (...args: string[]): Promise<Outcome> => one.exec([weftctl, 'trace', ...args]);

async function traced(...args: string[]): Promise<{ status: number | null; trace: Trace }> {
  const { status, stdout, stderr } = await runTrace(addressOf(a), addressOf(b), '-o', 'json', ...args);
  assert.ok(stdout, stderr);
  return { status, trace: JSON.parse(stdout) };
}

interface Stop {
  readonly node: 'node-1' | 'node-2';
  readonly hop: string;
  readonly text: RegExp;
}

/** Asserts where packets stop. */
async function stopsAt({ node, hop, text }: Stop): Promise<void> {
  const { status, trace } = await traced();
  assert.equal(status, STOPS);
  assert.equal(trace.passes, false);
  assert.equal(trace.stopsAt?.node, node);
  assert.equal(trace.stopsAt?.hop.name, hop, JSON.stringify(trace, null, 1));
  assert.match(trace.stopsAt?.hop.text ?? '', text);
}

async function broken(given: {
  break: () => Promise<unknown>;
  mend: () => Promise<unknown>;
  stop: Stop;
}): Promise<void> {
  try {
    await given.break();
    await eventually(() => stopsAt(given.stop));
  } finally {
    await given.mend();
  }
}

describe('weftctl trace', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 2, configuration: { probes: { period: '1s', failureThreshold: 2 } } });
    one = lab.node('node-1');
    two = lab.node('node-2');
    [a, b] = await Promise.all([lab.pod('node-1', 'a'), lab.pod('node-2', 'b')]);
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  it('way that is well: every hop of both nodes, exit status 0, and nothing left in the store', async () => {
    // A node knows a peer that has just joined from its saved list, which is written a few seconds later.
    await eventually(async () => {
      const { status, trace } = await traced();
      const text = JSON.stringify(trace, null, 1);
      assert.equal(status, 0, text);
      assert.equal(trace.receiving?.node, 'node-2');
      assert.ok(
        trace.receiving?.hops.some(({ name: hop }) => hop === 'back: FDB entry'),
        text,
      );
      const hops = [...trace.sending, ...(trace.receiving?.hops ?? []), ...trace.probe];
      assert.deepEqual(
        hops.filter(({ state }) => state !== 'ok'),
        [],
      );
    });
    const store = join(labFolder(name), 'store/weft');
    assert.deepEqual([...readdirSync(join(store, 'questions')), ...readdirSync(join(store, 'answers'))], []);
    const { stdout } = await runTrace(addressOf(a), addressOf(b));
    assert.match(
      stdout,
      /^On node-1\n[\s\S]*^On node-2\n[\s\S]*^Packets pass from 10\.244\.\d+\.2 to 10\.244\.\d+\.2\.$/m,
    );
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 80),
      stdout,
    );
  });

  it('port on which nothing listens: the connection is what stops, at the other node', async () => {
    const { status, trace } = await traced('--port', '81');
    assert.equal(status, STOPS);
    assert.equal(trace.stopsAt?.node, 'node-2');
    assert.match(trace.stopsAt?.hop.text ?? '', /refused: nothing listens there/);
  });

  const rows: Readonly<
    Record<string, { break: () => Promise<unknown>; mend: () => Promise<unknown>; stop: Stop }>
  > = {
    'pod without a route': {
      break: () => inPod(a, 'ip route del default'),
      mend: () => inPod(a, `ip route add default via ${addressOf(a).replace(/\d+$/, '1')}`),
      stop: { node: 'node-1', hop: 'pod', text: /has no route to/ },
    },
    'pod whose interface is down': {
      break: () => inPod(a, 'ip link set eth0 down'),
      mend: () =>
        inPod(a, `ip link set eth0 up; ip route replace default via ${addressOf(a).replace(/\d+$/, '1')}`),
      stop: { node: 'node-1', hop: 'pod', text: /eth0 is down in pod/ },
    },
    'pod with a stale neighbour entry': {
      break: () =>
        inPod(a, `ip neigh replace ${addressOf(a).replace(/\d+$/, '1')} lladdr 02:00:00:00:00:99 dev eth0`),
      mend: () => inPod(a, `ip neigh del ${addressOf(a).replace(/\d+$/, '1')} dev eth0`),
      stop: {
        node: 'node-1',
        hop: 'pod',
        text: /stale neighbour entry of 10\.244\.\d+\.1 \(02:00:00:00:00:99/,
      },
    },
    'pod of the other node whose interface is down': {
      break: () => inPod(b, 'ip link set eth0 down'),
      mend: () =>
        inPod(b, `ip link set eth0 up; ip route replace default via ${addressOf(b).replace(/\d+$/, '1')}`),
      stop: { node: 'node-2', hop: 'pod', text: /eth0 is down in pod/ },
    },
    'pod of the other node without a way back': {
      break: () => inPod(b, 'ip route del default'),
      mend: () => inPod(b, `ip route add default via ${addressOf(b).replace(/\d+$/, '1')}`),
      stop: { node: 'node-2', hop: 'pod', text: /has no route to/ },
    },
    'tunnel port dropped on this node': {
      break: () =>
        sh(
          one,
          `nft add table inet site; nft "add chain inet site out { type filter hook output priority 0; }"
           nft add rule inet site out udp dport 8472 drop`,
        ),
      mend: () => sh(one, 'nft delete table inet site'),
      stop: { node: 'node-1', hop: 'firewall', text: /inet site out drops UDP port 8472/ },
    },
    'tunnel port dropped on the other node': {
      break: () =>
        sh(
          two,
          `nft add table inet site; nft "add chain inet site in { type filter hook input priority 0; }"
           nft add rule inet site in udp dport 8472 drop`,
        ),
      mend: () => sh(two, 'nft delete table inet site'),
      stop: { node: 'node-2', hop: 'back: firewall', text: /inet site in drops UDP port 8472/ },
    },
    'tunnel blocked between the nodes': {
      break: () =>
        onFabric(`nft add table bridge way; nft "add chain bridge way c { type filter hook forward priority 0; }"
          nft add rule bridge way c ip saddr 192.168.188.101 udp dport 8472 drop`),
      mend: () => onFabric('nft delete table bridge way'),
      stop: { node: 'node-1', hop: 'underlay', text: /ours do not reach it/ },
    },
  };
  for (const [what, row] of Object.entries(rows)) it(`${what}: the hop is named`, () => broken(row));

  it('address that no pod has: the other node says so', async () => {
    const { stdout } = await runTrace(addressOf(a), addressOf(b).replace(/\d+$/, '99'));
    assert.match(stdout, /stops on node-2 at pod: no pod of this node has\s+10\.244\.\d+\.99/);
  });

  it('bad input: one line, exit status 1, with the nearest names', async () => {
    const near = addressOf(a).replace(/\d+$/, '9');
    for (const [args, expected] of [
      [
        [near, addressOf(b)],
        new RegExp(`^weftctl: no pod "${near}" on this node; did you mean ${addressOf(a)}`),
      ],
      [[addressOf(b), addressOf(a)], /is a pod of node-2: run weftctl trace there\n$/],
      [['web', addressOf(b)], /no pod "web" on this node; did you mean/],
      [[addressOf(a), 'fd00::1'], /fd00::1 is ipv6, and the source is ipv4/],
      [[addressOf(a), addressOf(b), '--port', '0'], /--port "0": expected a number from 1 to 65535/],
    ] as const) {
      const { status, stderr } = await runTrace(...args);
      assert.equal(status, 1);
      assert.match(stderr, expected);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    }
  });

  it("store that does not answer: this node's half, and that it is only that", async () => {
    await sh(one, 'echo "store: { type: etcd, endpoints: [http://127.0.0.1:2] }" >/etc/weft/away.yaml');
    const { status, trace } = await traced('--config', '/etc/weft/away.yaml');
    assert.equal(status, 0);
    assert.match(trace.receiving?.unknown ?? '', /so this is this node's half only/);
    assert.ok(trace.sending.length > 5);
  });

  it('peer whose agent does not run: its half is unknown, packets pass all the same', async () => {
    await two.agent.stop('SIGKILL');
    try {
      const { status, trace } = await traced();
      assert.equal(status, 0);
      assert.match(trace.receiving?.unknown ?? '', /node-2 has not answered within/);
    } finally {
      await two.agent.start();
    }
  });

  describe('weftd stopped on the sending node', () => {
    before(() => one.agent.stop('SIGKILL'));
    after(() => one.agent.start());

    const lost: Readonly<Record<string, Omit<Stop, 'node'>>> = {
      'a route': { hop: 'route', text: /route missing: 10\.244\.\d+\.0\/24 leads to/ },
      'a neighbour': { hop: 'neighbour entry', text: /neighbour entry missing/ },
      'a neighbour with a wrong MAC': { hop: 'neighbour entry', text: /neighbour entry wrong/ },
      'a forwarding entry': { hop: 'FDB entry', text: /FDB entry missing/ },
      'the device': { hop: 'route', text: /device weft\.1 missing/ },
      'the device, set down': { hop: 'route', text: /route missing/ },
      'the bridge, set down': { hop: 'bridge', text: /cni0 is down/ },
      'the bridge': { hop: 'bridge', text: /cni0 is missing/ },
      forwarding: { hop: 'forwarding', text: /ip_forward is 0/ },
    };
    for (const [what, stop] of Object.entries(lost)) {
      it(`a node that loses ${what}: the hop is named`, async () => {
        const variables = await damageVariables({ lab, node: one, peer: two, family: 'ipv4' });
        const { status, stderr } = await shellOn(one, damages[what]?.commands ?? 'false', variables);
        assert.equal(status, 0, stderr);
        try {
          await stopsAt({ node: 'node-1', ...stop });
        } finally {
          // The agent puts back what was lost.
          await one.agent.start();
          await one.agent.stop('SIGKILL');
        }
      });
    }

    it('spoof check without the pod: the hop is named', async () => {
      const set = await sh(one, 'nft list set bridge weft spoof-ipv4');
      const element = /(\{|,|elements = \{)\s*("veth[^"]+" \. 10\.[\d.]+)/.exec(set)?.[2];
      assert.ok(element, set);
      await sh(one, `nft 'delete element bridge weft spoof-ipv4 { ${element} }'`);
      await stopsAt({ node: 'node-1', hop: 'spoof check', text: /drops what the pod sends/ });
    });
  });

  // The agent looks for the size that passes, and keeps it for a while.
  it('large packets lost between the nodes: the ping of full size is named', () =>
    broken({
      break: () =>
        onFabric(`nft add table bridge way; nft "add chain bridge way c { type filter hook forward priority 0; }"
          nft add rule bridge way c meta length gt 1400 drop`),
      mend: () => onFabric('nft delete table bridge way'),
      stop: { node: 'node-2', hop: 'ping of 1450 bytes', text: /lost|it takes \d+ bytes/ },
    }));
});
