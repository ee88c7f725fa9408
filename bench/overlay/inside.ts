/**
 * The part that runs in a namespace of its own: programs the way to peers from nothing, by weft's overlay in this
 * process and by iproute2's batches, in turn, and prints the samples as JSON, in milliseconds.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Overlay } from '../../agent/overlay/overlay.ts';
import type { Peer } from '../../agent/overlay/peer.ts';
import type { OverlayState } from '../../agent/overlay/state.ts';
import { cidr, firstIp, formatCidr } from '../../inet/cidr.ts';
import { formatIp, ip } from '../../inet/ip.ts';
import { linkByName } from '../../kernel/link.ts';
import { openRtnl } from '../../kernel/netlink/rtnl.ts';
import { crowd, crowdedNetwork } from '../crowd.ts';

export interface ProgrammingRequest {
  readonly peers: number;
  readonly rounds: number;
}

export interface ProgrammingSamples {
  /** From the first message to the kernel to the last answer, the device made before. */
  readonly weft: number[];
  /** `ip -batch` with routes and neighbours, then `bridge -batch`, as processes. */
  readonly batches: number[];
}

const device = 'weft.1';

async function main({ peers, rounds }: ProgrammingRequest): Promise<void> {
  const run = (...argv: string[]): void => {
    execFileSync(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  };
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'underlay', 'type', 'veth', 'peer', 'name', 'far');
  run('ip', 'address', 'add', '172.30.0.1/16', 'dev', 'underlay');
  run('ip', 'link', 'set', 'far', 'up');
  run('ip', 'link', 'set', 'underlay', 'up');
  const rtnl = openRtnl();
  const all = crowd(peers).map((member): Peer => {
    const key = formatCidr(member.subnet);
    return { key, name: key, ...member };
  });
  const state = stateOf(linkByName(rtnl, 'underlay')?.index ?? 0, []);
  const bulk = openRtnl().widen();
  const overlay = new Overlay(rtnl, { bulk });
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const files = writeBatches(folder, all);
  const samples: ProgrammingSamples = { weft: [], batches: [] };
  const timed = async (into: number[], block: () => unknown): Promise<void> => {
    run('ip', 'link', 'delete', device);
    await overlay.reconcile(state);
    const begun = performance.now();
    await block();
    into.push(performance.now() - begun);
  };
  try {
    await overlay.reconcile(state);
    for (let i = 0; i < rounds; i++) {
      await timed(samples.weft, async () => {
        const { changes, problems } = await overlay.reconcile({ ...state, peers: [...all] });
        if (changes < 3 * peers || problems.length) throw new Error(`${changes} changes; ${problems[0]}`);
      });
      await timed(samples.batches, () => {
        run('ip', '-batch', files.ip);
        run('bridge', '-batch', files.bridge);
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
    rtnl.close();
    bulk.close();
  }
  process.stdout.write(JSON.stringify(samples));
}

const stateOf = (underlayIndex: number, peers: readonly Peer[]): OverlayState => ({
  network: cidr(crowdedNetwork),
  subnet: cidr('10.64.0.0/24'),
  underlay: {
    index: underlayIndex,
    name: 'underlay',
    address: { address: ip('172.30.0.1'), length: 16 },
    mtuBytes: 1500,
  },
  vtepMac: '0a:00:00:00:ff:ff',
  backend: { type: 'vxlan', vni: 1, port: 8472, mtuBytes: undefined },
  peers,
  answeringDirect: new Set(),
  pathMtuBytes: new Map(),
  complete: true,
  unleased: undefined,
});

/** The same entries in iproute2's words. */
function writeBatches(folder: string, peers: readonly Peer[]): { ip: string; bridge: string } {
  const files = { ip: join(folder, 'ip'), bridge: join(folder, 'bridge') };
  const lines = peers.map(({ subnet, endpoint, vtepMac }) => {
    const gateway = formatIp(firstIp(subnet));
    return {
      ip: [
        `neighbour replace ${gateway} lladdr ${vtepMac} dev ${device} nud permanent`,
        `route add ${formatCidr(subnet)} via ${gateway} dev ${device} onlink proto 87`,
      ],
      bridge: `fdb replace ${vtepMac} dev ${device} dst ${formatIp(endpoint)} self permanent`,
    };
  });
  writeFileSync(files.ip, `${lines.flatMap((line) => line.ip).join('\n')}\n`);
  writeFileSync(files.bridge, `${lines.map((line) => line.bridge).join('\n')}\n`);
  return files;
}

await main(JSON.parse(process.argv[2] ?? '{}'));
