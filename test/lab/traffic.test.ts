/** What pods' packets may do and what they may not: out of the cluster and inside it, in both families. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Family } from '../../inet/ip.ts';
import { mustRun } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { fabric, labFolder, netnsName } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { familyOf } from '../../lab/ping.ts';
import type { LabPod } from '../../lab/pod.ts';
import { world } from '../../lab/topology.ts';
import { eventually, labName, leftovers, SteadyPing } from './ground.ts';

const nameServer = fileURLToPath(new URL('./name-server.js', import.meta.url));

const name = labName('traffic');
let lab: Lab;
let pod: LabPod;
const servers: ChildProcess[] = [];

before(async () => {
  lab = await Lab.up({
    name,
    nodes: 2,
    families: ['ipv4', 'ipv6'],
    configuration: { probes: { period: '1s' } },
  });
  const pods = { pod: 'node-1', sibling: 'node-1', far: 'node-2' };
  await Promise.all(Object.entries(pods).map(([each, host]) => lab.pod(host, each)));
  pod = lab.podNamed('pod');
});

after(async () => {
  for (const server of servers) {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
  }
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const inFabric = (...argv: string[]): string[] => ['ip', 'netns', 'exec', netnsName(name, fabric), ...argv];

const of = ({ addresses }: { readonly addresses: readonly string[] }, family: Family): string =>
  addresses.find((address) => familyOf(address) === family) ?? '';

/** Starts a name server and waits until it listens. */
async function serve(command: (argv: string[]) => string[], node: LabNode, address: string): Promise<void> {
  const [program = '', ...args] = command([process.execPath, nameServer, address]);
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: node.environment() });
  servers.push(server);
  await once(server.stdout, 'data');
}

/** Asks for so many names at once, as a resolver does; who asked, as the server saw it, each time. */
async function ask(from: LabPod, server: string, names: readonly string[]): Promise<string[]> {
  const script = `
    const { Resolver } = require('node:dns').promises;
    // An IPv6 packet that does not fit is lost, and with it its sender learns what does.
    const resolver = new Resolver({ timeout: 1000, tries: 3 });
    resolver.setServers([process.argv[1]]);
    Promise.all(process.argv.slice(2).map((name) => resolver.resolveTxt(name)))
      .then((all) => console.log(JSON.stringify(all.map(([[asker]]) => asker))));`;
  const { status, stdout, stderr } = await from.exec([process.execPath, '-e', script, server, ...names]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const names = [...Array.from({ length: 40 }, (_, i) => `name-${i}.test`), 'large.test'];

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`a pod asks for names over UDP (${family})`, () => {
    const servers: Record<string, () => { at: string; seen: string; start: (at: string) => Promise<void> }> =
      {
        'outside, as its node': () => ({
          at: world[family],
          seen: of(lab.node('node-1'), family),
          start: (at) => serve((argv) => inFabric(...argv), lab.node('node-1'), at),
        }),
        'another node, as its own node': () => ({
          at: of(lab.node('node-2'), family),
          seen: of(lab.node('node-1'), family),
          start: async (at) => {
            const node = lab.node('node-2');
            await serve((argv) => onNode(node, argv), node, at);
          },
        }),
        'a pod of another node, as itself': () => ({
          at: of(lab.podNamed('far'), family),
          seen: of(pod, family),
          start: (at) => serve((argv) => lab.podNamed('far').command(argv), lab.node('node-2'), at),
        }),
        'its sibling, as itself': () => ({
          at: of(lab.podNamed('sibling'), family),
          seen: of(pod, family),
          start: (at) => serve((argv) => lab.podNamed('sibling').command(argv), lab.node('node-1'), at),
        }),
      };
    for (const [whom, place] of Object.entries(servers)) {
      it(`${whom}, and gets every answer, one in fragments among them`, async () => {
        const { at, seen, start } = place();
        await start(at);
        assert.deepEqual(
          await ask(pod, at, names),
          names.map(() => seen),
        );
      });
    }
  });
}

/** A command line that runs on a node. */
const onNode = (node: LabNode, argv: readonly string[]): string[] => [
  'ip',
  'netns',
  'exec',
  netnsName(name, node.name),
  ...argv,
];

/** How many packets from that address a pod has received, beside those that it has from everybody. */
class Counter {
  readonly #pod: LabPod;

  private constructor(pod: LabPod) {
    this.#pod = pod;
  }

  static async of(pod: LabPod, address: string): Promise<Counter> {
    const match = `${familyOf(address) === 'ipv4' ? 'ip' : 'ip6'} saddr ${address}`;
    const input = `table inet t { chain c { type filter hook prerouting priority -400; ${match} counter; }; }`;
    const { status, stderr } = await pod.exec(['nft', '-f', '-'], { input });
    assert.equal(status, 0, stderr);
    return new Counter(pod);
  }

  async close(): Promise<number> {
    const { stdout } = await this.#pod.exec(['nft', 'list', 'table', 'inet', 't']);
    await this.#pod.exec(['nft', 'delete', 'table', 'inet', 't']);
    return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
  }
}

describe('a pod cannot send from an address that is not its own', () => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    const claims: Record<string, () => string> = {
      'its sibling’s': () => of(lab.podNamed('sibling'), family),
      'one of another node’s pods': () => of(lab.podNamed('far'), family).replace(/[0-9a-f]+$/, '77'),
      'one outside the cluster': () => (family === 'ipv4' ? '198.51.100.7' : '2001:db8:100::7'),
    };
    for (const [what, claim] of Object.entries(claims)) {
      it(`(${family}): ${what}`, async () => {
        const address = claim();
        await pod.exec(['ip', 'address', 'add', address, 'dev', 'lo']);
        try {
          for (const target of ['sibling', 'far'].map((each) => lab.podNamed(each))) {
            if (of(target, family) === address) continue;
            const counter = await Counter.of(target, address);
            await pod.exec([
              'ping',
              '-n',
              '-c',
              '3',
              '-i',
              '0.01',
              '-W',
              '0.1',
              '-I',
              address,
              of(target, family),
            ]);
            const honest = await pod.exec([
              'ping',
              '-n',
              '-c',
              '1',
              '-W',
              '5',
              '-I',
              of(pod, family),
              of(target, family),
            ]);
            assert.equal(honest.status, 0, honest.stdout);
            assert.equal(await counter.close(), 0, `${target.name} heard ${address}`);
          }
        } finally {
          await pod.exec(['ip', 'address', 'del', address, 'dev', 'lo']);
        }
      });
    }
  }
});

/** What the tunnel of a node is open to, of both families. */
async function guests(node: LabNode): Promise<string[]> {
  const sets = await Promise.all(
    ['ipv4', 'ipv6'].map((family) =>
      node.json(['nft', '-j', 'list', 'set', 'inet', 'weft', `peers-${family}`]),
    ),
  );
  return (sets as { nftables: { set?: { elem?: string[] } }[] }[])
    .flatMap(({ nftables }) => nftables.flatMap(({ set }) => set?.elem ?? []))
    .toSorted();
}

describe('the tunnel’s guard', () => {
  it('lets in who is a peer, from when it joins to when it has left, and does not track the tunnel’s packets', async () => {
    const node = lab.node('node-1');
    const peer = lab.node('node-2');
    assert.deepEqual(await guests(node), peer.addresses.toSorted());
    const joins = join(labFolder(name), 'store/subnets/10.244.93.0-24');
    const value = { PublicIP: '192.168.188.193', BackendType: 'vxlan' };
    writeFileSync(joins, JSON.stringify({ ...value, BackendData: { VNI: 1, VtepMAC: '0e:00:00:00:00:93' } }));
    const all = [...peer.addresses, value.PublicIP].toSorted();
    await eventually(async () => assert.deepEqual(await guests(node), all));
    rmSync(joins);
    await eventually(async () => assert.deepEqual(await guests(node), peer.addresses.toSorted()));
    const tracked = await node.mustExec(['conntrack', '-L', '-p', 'udp']);
    assert.doesNotMatch(tracked, /dport=8472/);
  });
});

describe('a path that takes only smaller packets than the nodes’ links', () => {
  const width = { ipv4: 1400 - 50, ipv6: 1400 - 70 };
  /** Of a ping whose packet is larger than that, and fits the pod's own link. */
  const payload = { ipv4: String(1400 - 28), ipv6: String(1400 - 48) };
  const port = (mtu: string) => mustRun(inFabric('ip', 'link', 'set', 'node-2', 'mtu', mtu));
  const mtuOf = async (family: Family): Promise<number | undefined> => {
    const flag = family === 'ipv4' ? '-4' : '-6';
    const routes = await lab
      .node('node-1')
      .mustExec(['ip', flag, 'route', 'show', 'type', 'unicast', 'proto', '87']);
    const [, mtu] = /dev weft(?:-v6)?\.1 .*mtu (\d+)/.exec(routes) ?? [];
    return mtu === undefined ? undefined : Number(mtu);
  };

  it('is found out, told of, and pods’ packets fit, until it is wide again', {
    timeout: 150_000,
  }, async () => {
    const far = lab.podNamed('far');
    const others = new SteadyPing(pod, far);
    await port('1400');
    try {
      for (const family of ['ipv4', 'ipv6'] as const) {
        await eventually(async () => assert.equal(await mtuOf(family), width[family]), 100_000);
        // A packet that may not be cut is answered with the size that fits; what comes after has it.
        const tooLarge = [
          'ping',
          '-n',
          '-c',
          '1',
          '-W',
          '1',
          '-M',
          'do',
          '-s',
          payload[family],
          of(far, family),
        ];
        assert.match((await pod.exec(tooLarge)).stdout, new RegExp(`mtu ?[=:] ?${width[family]}`, 'i'));
        const fits = [
          'ping',
          '-n',
          '-c',
          '1',
          '-W',
          '5',
          '-M',
          'want',
          '-s',
          payload[family],
          of(far, family),
        ];
        await eventually(async () => assert.equal((await pod.exec(fits)).status, 0));
      }
      assert.match(lab.node('node-1').agent.log(), /"peer\.pathMtuReduced"/);
    } finally {
      await port('1500');
    }
    for (const family of ['ipv4', 'ipv6'] as const) {
      await eventually(async () => assert.equal(await mtuOf(family), undefined), 60_000);
    }
    assert.deepEqual((await others.end()).lost, []);
  });
});
