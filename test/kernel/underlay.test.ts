/** The underlay as found on a host that the kernel shows, not one that a test describes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../agent/config/read.ts';
import type { Underlay } from '../../agent/underlay/choose.ts';
import { findUnderlay } from '../../agent/underlay/find-underlay.ts';
import { StoreAddresses } from '../../agent/underlay/store-addresses.ts';
import { formatInterfaceAddress } from '../../inet/cidr.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Netns, openNetns, within } from '../../kernel/netns.ts';
import { silentLog } from '../../log/log.ts';

const name = `weft-t-${process.pid}-u`;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });

let host: Netns;
let rtnl: Rtnl;

/** Two interfaces as Vagrant with VirtualBox makes them, and a bridge that has a subnet of the cluster's. */
before(() => {
  ip('netns', 'add', name);
  const lines = [
    'link set lo up',
    'link add eth0 mtu 1500 type veth peer name wire0',
    'link add eth1 mtu 9000 type veth peer name wire1',
    'link add cni0 type bridge',
    ...['eth0', 'eth1', 'wire0', 'wire1', 'cni0'].map((link) => `link set ${link} up`),
    'address add 10.0.2.15/24 dev eth0',
    'address add 192.168.188.101/24 dev eth1',
    'address add fd00:188::101/64 dev eth1 nodad',
    'address add 10.244.3.1/24 dev cni0',
    'route add default via 10.0.2.2 dev eth0 metric 100',
    'route add 172.31.0.0/16 via 192.168.188.1 dev eth1',
    'route add default via 192.168.188.1 dev eth1 metric 200',
    '-6 route add default via fd00:188::1 dev eth1',
  ];
  for (const line of lines) ip('-n', name, ...line.split(' '));
  host = openNetns(`/run/netns/${name}`);
  rtnl = within(host, openRtnl);
});

after(() => {
  rtnl?.close();
  host?.close();
  ip('netns', 'del', name);
});

function find(document: string): Promise<Underlay> {
  const config = readConfig('weft.yaml', document);
  const { addresses } = new StoreAddresses({
    store: config.store,
    known: {},
    onChange: () => undefined,
    log: silentLog,
    signal: AbortSignal.abort(),
  });
  return findUnderlay({ config, file: 'weft.yaml', rtnl, known: [], storeAddresses: addresses });
}

describe('the underlay of this host', () => {
  const etcd = 'store: { type: etcd, endpoints: [http://172.31.4.4:2379] }\n';
  const both = 'network: 10.244.0.0/16\nnetwork6: fd00:10:244::/56\n';
  const rows: [what: string, document: string, addresses: string[]][] = [
    ["the default route's that is no user NAT", '', ['192.168.188.101/24']],
    ['the one towards the store', etcd, ['192.168.188.101/24']],
    ['the one that is named', 'underlay: 192.168.188.0/24', ['192.168.188.101/24']],
    ['of both families', both, ['192.168.188.101/24', 'fd00:188::101/64']],
  ];
  for (const [what, document, addresses] of rows) {
    it(`is ${what}`, async () => {
      const found = await find(document);
      assert.deepEqual(found.addresses.map(formatInterfaceAddress), addresses);
      assert.deepEqual([found.name, found.mtuBytes, found.warnings], ['eth1', 9000, []]);
    });
  }

  it('is never user NAT by a route through it', async () => {
    await assert.rejects(find('underlay: { reach: 10.0.2.2 }'), {
      code: 'underlay',
      message:
        /^weft\.yaml: underlay: eth0 \(10\.0\.2\.15 behind 10\.0\.2\.2\) is VirtualBox's .* underlay: 192\.168\.188\.0\/24 \(eth1\)$/,
    });
  });

  it('may not lie in the network of the pods', async () => {
    await assert.rejects(find('network: 192.168.0.0/16'), {
      code: 'overlap',
      message: /^weft\.yaml: network: the cluster's network 192\.168\.0\.0\/16 overlaps/,
    });
  });

  it('100 000 foreign routes: read in slices, the choice is the same', async () => {
    const lines = Array.from(
      { length: 100_000 },
      (_, n) =>
        `route add 100.${64 + (n >> 14)}.${(n >> 6) & 255}.${(n & 63) * 4}/30 via 192.168.188.1 dev eth1`,
    );
    execFileSync('ip', ['-n', name, '-batch', '-'], { input: lines.join('\n') });
    try {
      let turns = 0;
      let looking = true;
      const count = (): void => {
        turns++;
        if (looking) setImmediate(count);
      };
      setImmediate(count);
      const found = await find('store: { type: etcd, endpoints: [http://100.64.0.9:2379] }');
      looking = false;
      assert.deepEqual(found.addresses.map(formatInterfaceAddress), ['192.168.188.101/24']);
      assert.ok(turns > 5, `${turns} turns`);
    } finally {
      ip('-n', name, 'route', 'flush', 'via', '192.168.188.1', 'dev', 'eth1', 'proto', 'boot');
    }
  });
});
