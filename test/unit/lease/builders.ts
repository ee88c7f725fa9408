/** What the lease tests need again and again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AcquireOptions, acquireLease } from '../../../agent/lease/acquire-lease.ts';
import type { LeaseHolder, LeaseStatus } from '../../../agent/lease/holder.ts';
import type { LeaseAttributes, Peers } from '../../../agent/lease/lease.ts';
import type { LeaseStore } from '../../../agent/lease/store/store.ts';
import { cidr } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';
import { silentLog } from '../../../log/log.ts';

/** Its VTEP MAC follows from the address: no two nodes have the same. */
export const macFor = (publicIp: string): string =>
  ['02:00', ...publicIp.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))].join(':');

export const attributes = (publicIp: string, vtepMac = macFor(publicIp)): LeaseAttributes => ({
  publicIps: [ip(publicIp)],
  backend: { type: 'vxlan', vni: 1, vtepMac },
});

export const network = { cidr: cidr('10.244.0.0/16'), subnetLength: 24 };

/** A folder that goes with the test. */
export function scratch(t: { after(done: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-lease-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Where the agent of that name keeps what it keeps. */
export const foldersOf = (home: string, name: string) => ({
  runDir: join(home, name, 'run'),
  stateDir: join(home, name, 'state'),
});

/** One agent's half of the lease protocol; `stop` is its SIGTERM. */
export interface TestAgent {
  readonly holder: LeaseHolder;
  stop(): Promise<void>;
}

export async function startAgent(
  t: { after(done: () => void): void },
  options: Partial<AcquireOptions> & { store: LeaseStore; home: string; name: string; publicIp: string },
): Promise<TestAgent> {
  const stop = new AbortController();
  t.after(() => {
    stop.abort();
    // What an agent keeps it writes at its end, too.
    rmSync(options.home, { recursive: true, force: true });
  });
  const { store, home, name, publicIp, ...rest } = options;
  const holder = await acquireLease({
    store,
    node: { id: `id-of-${name}`, name },
    networks: [network],
    backend: { type: 'vxlan', vni: 1, port: 8472 },
    attributes: attributes(publicIp),
    ...foldersOf(home, name),
    flannelSubnetFile: join(home, name, 'no-flannel'),
    log: silentLog,
    signal: stop.signal,
    ...rest,
  });
  return {
    holder,
    stop: async () => {
      stop.abort();
      await holder.done;
    },
  };
}

/** Resolves when the peers satisfy the condition; the test's own timeout is the limit. */
export function peersWhen(holder: LeaseHolder, condition: (peers: Peers) => boolean): Promise<Peers> {
  const done = new AbortController();
  return new Promise((resolve) => {
    holder.watchPeers((peers) => {
      if (done.signal.aborted || !condition(peers)) return;
      done.abort();
      resolve(peers);
    }, done.signal);
  });
}

/** Writes a record as somebody would by hand; undefined deletes it. */
export async function tamper(store: LeaseStore, key: string, value: string | undefined): Promise<void> {
  const write =
    value === undefined
      ? ({ type: 'delete', key } as const)
      : ({ type: 'put', key, value, session: undefined } as const);
  await store.commit({ compare: [], write: [write] }, new AbortController().signal);
}

/** The values under `subnets/`, by key. */
export async function subnetValues(store: LeaseStore): Promise<Record<string, unknown>> {
  const { records } = await store.list(new AbortController().signal);
  const folder = 'subnets/';
  const subnets = records.filter(({ key }) => key.startsWith(folder));
  return Object.fromEntries(subnets.map(({ key, value }) => [key.slice(folder.length), JSON.parse(value)]));
}

/** Resolves with the next status that satisfies the condition. */
export function statusWhen(
  holder: LeaseHolder,
  condition: (status: LeaseStatus) => boolean,
): Promise<LeaseStatus> {
  const done = new AbortController();
  return new Promise((resolve) => {
    holder.watchStatus((status) => {
      if (done.signal.aborted || !condition(status)) return;
      done.abort();
      resolve(status);
    }, done.signal);
  });
}
