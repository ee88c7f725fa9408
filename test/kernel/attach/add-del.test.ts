/** ADD and DEL against the kernel: what is there afterwards, what packets do, and what is left. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { addressOf, enterHost, ipJson, leaveHost, Plugin, Pod, ping, run, waitFor } from './ground.ts';

before(enterHost);
after(leaveHost);

let plugin: Plugin;
let pods: Pod[];
const pod = (name?: string): Pod => {
  const made = new Pod(name);
  pods.push(made);
  return made;
};
beforeEach(() => {
  plugin = new Plugin();
  plugin.lease();
  pods = [];
});
afterEach(() => {
  for (const made of pods) made.destroy();
  plugin.dispose();
});

const addresses = (link: { addr_info: { local: string; prefixlen: number; scope: string }[] }) =>
  link.addr_info
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);

describe('ADD', () => {
  it('makes what a pod of the leased subnet needs, and says so', async () => {
    const a = pod('web');
    const result = await plugin.must('ADD', a);

    const [bridge] = ipJson('address', 'show', 'cni0');
    assert.deepEqual(addresses(bridge), ['10.244.1.1/24']);
    assert.equal(bridge.mtu, 1450);
    assert.equal(bridge.operstate, 'UP');
    const [port] = ipJson('link', 'show', 'master', 'cni0');
    assert.match(port.ifname, /^veth[0-9a-f]{11}$/);
    assert.equal(port.ifalias, `weft:weft/${a.containerId}/eth0`);
    assert.equal(port.mtu, 1450);
    assert.equal(port.linkinfo.info_slave_data.hairpin, true);
    assert.equal(port.linkinfo.info_slave_data.state, 'forwarding');
    const [inside] = a.ipJson('address', 'show', 'eth0');
    assert.deepEqual(addresses(inside), ['10.244.1.2/24']);
    assert.equal(inside.mtu, 1450);
    assert.equal(inside.link_index, port.ifindex);
    const routes = a.ipJson('route', 'show').map(({ dst, gateway }) => `${dst} ${gateway ?? 'link'}`);
    assert.deepEqual(routes, ['default 10.244.1.1', '10.244.1.0/24 link']);
    a.ping('127.0.0.1');

    assert.deepEqual(result, {
      cniVersion: '1.1.0',
      interfaces: [
        { name: 'cni0', mac: bridge.address, mtu: 1450 },
        { name: port.ifname, mac: port.address, mtu: 1450 },
        { name: 'eth0', mac: inside.address, mtu: 1450, sandbox: a.netns },
      ],
      ips: [{ interface: 2, address: '10.244.1.2/24', gateway: '10.244.1.1' }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.244.1.1' }],
    });
    assert.deepEqual(plugin.allocated(), ['10.244.1.2']);
  });

  it('connects pods with each other, with the host, and with themselves', async () => {
    const [a, b] = [pod(), pod()];
    const [first, second] = [await plugin.must('ADD', a), await plugin.must('ADD', b)];
    a.ping(addressOf(second));
    b.ping(addressOf(first));
    a.ping(addressOf(first));
    a.ping('10.244.1.1');
    ping(addressOf(first));
  });

  it('gives both families, usable at once', async () => {
    plugin.lease({ FLANNEL_IPV6_NETWORK: 'fd00:10::/48', FLANNEL_IPV6_SUBNET: 'fd00:10:0:1::1/64' });
    const [a, b] = [pod(), pod()];
    const [first, second] = [await plugin.must('ADD', a), await plugin.must('ADD', b)];
    assert.deepEqual(
      first.routes.map(({ dst, gw }: { dst: string; gw: string }) => `${dst} ${gw}`),
      ['0.0.0.0/0 10.244.1.1', '::/0 fd00:10:0:1::1'],
    );
    a.ping(addressOf(second, 6));
    b.ping('fd00:10:0:1::1');
    ping(addressOf(first, 6));
  });

  it('is done only when neighbours’ questions for the IPv6 address are heard', async () => {
    plugin.lease({ FLANNEL_IPV6_NETWORK: 'fd00:10::/48', FLANNEL_IPV6_SUBNET: 'fd00:10:0:1::1/64' });
    for (let i = 0; i < 30; i++) {
      const a = pod();
      const address = addressOf(await plugin.must('ADD', a), 6);
      // In this very moment: a program would take longer to start than the kernel takes at most times.
      const joined = a.read('/proc/thread-self/net/igmp6');
      const lastDigits = address.replace(/.*:/, '').padStart(6, '0');
      assert.match(joined, new RegExp(`eth0 +ff020{19}1ff${lastDigits}`), `pod ${i}`);
    }
  });

  it('gives one pod interfaces of two networks, each with a default route', async () => {
    const a = pod();
    await plugin.must('ADD', a);
    const second = { name: 'second', bridge: 'br2', isDefaultGateway: true };
    const ipam = {
      type: 'host-local',
      subnet: '10.9.0.0/24',
      routes: [{ dst: '0.0.0.0/0', gw: '10.9.0.1' }],
    };
    const more = { env: { CNI_IFNAME: 'net1' }, config: { ...second, ipam } };
    const prevResult = await plugin.must('ADD', a, more);
    const ways = a.ipJson('-4', 'route', 'show', 'default').map(({ dev, gateway }) => [dev, gateway]);
    assert.deepEqual(ways, [
      ['net1', '10.9.0.1'],
      ['eth0', '10.244.1.1'],
    ]);
    a.ping('10.244.1.1');
    await plugin.must('CHECK', a, { ...more, config: { ...more.config, prevResult } });
    await plugin.must('DEL', a, more);
    a.ping('10.244.1.1');
  });

  it('gives IPv6 alone', async () => {
    plugin.config = { ipam: { type: 'host-local', subnet: 'fd00:20::/64' }, isDefaultGateway: true };
    const a = pod();
    const result = await plugin.must('ADD', a);
    assert.equal(addressOf(result, 6), 'fd00:20::2');
    a.ping('fd00:20::1');
  });

  it('waits for duplicate detection where it is asked for', async () => {
    plugin.config = {
      ipam: { type: 'host-local', subnet: 'fd00:20::/64' },
      isGateway: true,
      enabledad: true,
    };
    const a = pod();
    await plugin.must('ADD', a);
    const [{ addr_info: present }] = a.ipJson('address', 'show', 'eth0');
    assert.equal(
      present.some(({ tentative }: { tentative?: boolean }) => tentative),
      false,
    );
    a.ping('fd00:20::1');
  });

  it('gives a container a second interface', async () => {
    const a = pod();
    await plugin.must('ADD', a);
    const second = await plugin.must('ADD', a, {
      env: { CNI_IFNAME: 'net1' },
      config: { isDefaultGateway: false, isGateway: true },
    });
    assert.equal(addressOf(second), '10.244.1.3');
    await plugin.must('DEL', a, { env: { CNI_IFNAME: 'net1' } });
    a.ping('10.244.1.1');
    await plugin.must('DEL', a);
    plugin.assertNothingLeft();
  });

  it('without a default route still leads to the other nodes’ pods', async () => {
    const a = pod();
    const { routes } = await plugin.must('ADD', a, { config: { isDefaultGateway: false } });
    assert.deepEqual(routes, [{ dst: '10.244.0.0/16', gw: '10.244.1.1' }]);
    assert.deepEqual(
      a.ipJson('route', 'show', '10.244.0.0/16').map(({ gateway }) => gateway),
      ['10.244.1.1'],
    );
  });

  it('serves many at once, and none gets another’s address', async () => {
    const many = Array.from({ length: 20 }, () => pod());
    const results = await Promise.all(many.map((each) => plugin.must('ADD', each)));
    assert.equal(new Set(results.map((result) => addressOf(result))).size, 20);
    many[0]?.ping(addressOf(results[19]));
    await Promise.all(many.map((each) => plugin.must('DEL', each)));
    plugin.assertNothingLeft();
  });

  it('has room for the longest names', async () => {
    const a = pod('x'.repeat(600));
    const config = { name: 'n'.repeat(300) };
    await plugin.must('ADD', a, { config });
    const [port] = ipJson('link', 'show', 'master', 'cni0');
    assert.match(port.ifalias, /^weft:n+~[0-9a-f]{16}\/x+~[0-9a-f]{16}\/eth0$/);
    await plugin.must('DEL', a, { config });
    plugin.assertNothingLeft();
  });
});

describe('an address that is reused', () => {
  for (const family of [
    { name: 'IPv4', subnet: '10.9.0.0/29', free: '10.9.0.3' },
    { name: 'IPv6', subnet: 'fd00:9::/64', free: 'fd00:9::3' },
  ]) {
    it(`answers the first packet of host and siblings (${family.name})`, async () => {
      plugin.config = {
        isDefaultGateway: true,
        ipam: { type: 'host-local', subnet: family.subnet, rangeEnd: family.free },
      };
      const [sibling, old, young] = [pod(), pod(), pod()];
      await plugin.must('ADD', sibling);
      const before = await plugin.must('ADD', old);
      const address = before.ips[0].address.replace(/\/.*/, '');
      assert.equal(address, family.free);
      for (const ask of [ping, (to: string) => sibling.ping(to)]) ask(address);
      await plugin.must('DEL', old);
      const after = await plugin.must('ADD', young);
      assert.equal(after.ips[0].address, before.ips[0].address);
      sibling.ping(address);
      ping(address);
    });
  }
});

describe('ADD is refused', () => {
  it('with the first attachment untouched, where the container is attached already', async () => {
    const a = pod();
    const first = await plugin.must('ADD', a);
    await plugin.refused(100, /^container veth name provided \(eth0\) already exists$/, 'ADD', a);
    ping(addressOf(first));
    assert.deepEqual(plugin.allocated(), [addressOf(first)]);
    await plugin.must('DEL', a);
    plugin.assertNothingLeft();
  });

  it('also where the record of the first attachment is damaged or lost', async () => {
    const a = pod();
    const first = await plugin.must('ADD', a);
    writeFileSync(join(plugin.runDir, 'attachments', plugin.records()[0] ?? ''), '{"version":');
    await plugin.refused(100, /already exists/, 'ADD', a);
    await plugin.refused(100, /already exists/, 'ADD', a);
    ping(addressOf(first));
    await plugin.must('DEL', a);
    plugin.assertNothingLeft();
  });

  it('where the pod has an interface of that name from elsewhere', async () => {
    const a = pod();
    a.run('ip', 'link', 'add', 'eth0', 'type', 'bridge');
    await plugin.refused(100, /already exists/, 'ADD', a);
    plugin.assertNothingLeft();
    assert.equal(a.ipJson('link', 'show', 'eth0')[0].linkinfo.info_kind, 'bridge');
  });

  it('with nothing half made, where the range is exhausted', async () => {
    plugin.config = { ipam: { type: 'host-local', subnet: '10.9.0.0/30' }, isGateway: true };
    await plugin.must('ADD', pod());
    const late = pod();
    await plugin.refused(101, /no IP addresses available in range set: 10\.9\.0\.1-10\.9\.0\.2/, 'ADD', late);
    assert.deepEqual(plugin.allocated(), ['10.9.0.2']);
    assert.equal(plugin.records().length, 1);
    assert.deepEqual(
      late.ipJson('link', 'show').map(({ ifname }) => ifname),
      ['lo'],
    );
  });

  it('where another network has given its address out, if it is to be masqueraded', async () => {
    const [one, other] = [pod(), pod()];
    const ipam = { type: 'host-local', subnet: '10.9.0.0/24' };
    await plugin.must('ADD', one, { config: { ipMasq: true, ipam } });
    const same = { config: { name: 'other', ipMasq: true, ipam } };
    await plugin.refused(102, /10\.9\.0\.2 \} is there already, for weft:weft\//, 'ADD', other, same);
    await plugin.must('DEL', one);
    await plugin.must('ADD', other, same);
  });

  it('with nothing half made, where a route makes no sense', async () => {
    plugin.config = {
      ipam: { type: 'host-local', subnet: '10.9.0.0/24', routes: [{ dst: '10.8.0.0/16', gw: '10.7.0.1' }] },
    };
    await plugin.refused(7, /route 10\.8\.0\.0\/16 via 10\.7\.0\.1.*ENETUNREACH/, 'ADD', pod());
    plugin.assertNothingLeft();
  });

  for (const [what, netns, message] of [
    ['nothing', '/run/netns/no-such', /failed to open netns "\/run\/netns\/no-such": ENOENT/],
    ['a plain file', '/etc/hostname', /failed to open netns.*unknown FS magic/],
    [
      'the host itself',
      '/proc/self/ns/net',
      /plugin's netns and netns from CNI_NETNS should not be the same/,
    ],
  ] as const) {
    it(`where CNI_NETNS names ${what}`, async () => {
      await plugin.refused(8, message, 'ADD', pod(), { env: { CNI_NETNS: netns } });
      plugin.assertNothingLeft();
    });
  }

  it('where the link that should be the bridge is none', async () => {
    run('ip', 'link', 'add', 'br9', 'type', 'ifb');
    await plugin.refused(104, /^"br9" already exists but is not a bridge$/, 'ADD', pod(), {
      config: { bridge: 'br9' },
    });
    run('ip', 'link', 'del', 'br9');
  });

  it('where the bridge has another network’s address, unless that may be replaced', async () => {
    run('ip', 'link', 'add', 'cni0', 'type', 'bridge');
    run('ip', 'address', 'add', '10.244.7.1/24', 'dev', 'cni0');
    const a = pod();
    await plugin.refused(
      104,
      /^"cni0" already has an IP address different from 10\.244\.1\.1\/24$/,
      'ADD',
      a,
    );
    await plugin.must('ADD', a, { config: { forceAddress: true } });
    assert.deepEqual(addresses(ipJson('address', 'show', 'cni0')[0]), ['10.244.1.1/24']);
    a.ping('10.244.1.1');
  });

  it('where an option needs what this build does not have', async () => {
    const bare = new Plugin({ steps: [] });
    bare.lease();
    await bare.refused(2, /spoofCheck/, 'ADD', pod(), { config: { ipspoofchk: true } });
    bare.assertNothingLeft();
    bare.dispose();
  });
});

describe('the lease', () => {
  const bootId = () => run('cat', '/proc/sys/kernel/random/boot_id').trim();
  const leaseFile = (content: object) =>
    writeFileSync(
      join(plugin.runDir, 'lease.json'),
      JSON.stringify({ boot: bootId(), reason: null, ...content }),
    );

  it('has to be there', async () => {
    run('rm', join(plugin.runDir, 'subnet.env'));
    await plugin.refused(11, /no subnet yet: .*subnet\.env does not exist/, 'ADD', pod());
    await plugin.refused(50, /no subnet yet/, 'STATUS');
  });

  for (const [what, text, message] of [
    ['empty', '', /FLANNEL_SUBNET is missing/],
    ['half written', 'FLANNEL_SUBNET=10.2', /FLANNEL_NETWORK and FLANNEL_SUBNET must be networks/],
    ['without an MTU', 'FLANNEL_NETWORK=10.2.0.0/16\nFLANNEL_SUBNET=10.2.1.1/24\n', /FLANNEL_MTU/],
  ] as const) {
    it(`in a file that is ${what} is refused by name`, async () => {
      writeFileSync(join(plugin.runDir, 'subnet.env'), text);
      await plugin.refused(11, message, 'ADD', pod());
    });
  }

  it('is good up to its deadline', async () => {
    leaseFile({ deadlineMs: 1e12 });
    await plugin.must('ADD', pod());
    leaseFile({ deadlineMs: null });
    await plugin.must('ADD', pod());
    leaseFile({ deadlineMs: 1, reason: 'the store is away' });
    await plugin.refused(
      11,
      /cannot prove any more that its subnet is its own: the store is away/,
      'ADD',
      pod(),
    );
    await plugin.refused(50, /the store is away/, 'STATUS');
  });

  it('of an earlier boot is none', async () => {
    leaseFile({ deadlineMs: 1e12, boot: 'another' });
    await plugin.refused(11, /the agent has not started since this node booted/, 'ADD', pod());
  });

  it('does not matter to a network with ranges of its own', async () => {
    run('rm', join(plugin.runDir, 'subnet.env'));
    await plugin.must('ADD', pod(), { config: { ipam: { type: 'host-local', subnet: '10.9.0.0/24' } } });
  });
});

describe('DEL', () => {
  const cases: { says: string; env?: (a: Pod) => Record<string, string>; before?: (a: Pod) => void }[] = [
    { says: 'with the namespace' },
    { says: 'without CNI_NETNS', env: () => ({ CNI_NETNS: '' }) },
    { says: 'with a namespace that is gone', env: () => ({ CNI_NETNS: '/run/netns/no-such' }) },
    { says: 'with a file that is no namespace', env: () => ({ CNI_NETNS: '/etc/hostname' }) },
    { says: 'where the interface is gone', before: (a) => a.run('ip', 'link', 'del', 'eth0') },
    { says: 'where it was renamed in the pod', before: (a) => renamed(a) },
    { says: 'where the bridge is gone', before: () => run('ip', 'link', 'del', 'cni0') },
    { says: 'where our record is damaged', before: () => damageRecord('{"version":1,"netw') },
    { says: 'where our record is empty', before: () => damageRecord('') },
    { says: 'where our record is of another version', before: () => damageRecord('{"version":2}\n') },
    { says: 'where our record is gone', before: () => run('rm', '-r', join(plugin.runDir, 'attachments')) },
    { says: 'where the address’s record is damaged', before: () => damageAddress('') },
    {
      says: 'where the address’s record is gone',
      before: () => run('rm', '-r', join(plugin.runDir, 'ipam')),
    },
    { says: 'where the subnet file is gone', before: () => run('rm', join(plugin.runDir, 'subnet.env')) },
  ];
  const renamed = (a: Pod) => {
    a.run('ip', 'link', 'set', 'eth0', 'down');
    a.run('ip', 'link', 'set', 'eth0', 'name', 'other0');
  };
  const damageRecord = (content: string) =>
    writeFileSync(join(plugin.runDir, 'attachments', plugin.records()[0] ?? ''), content);
  const damageAddress = (content: string) =>
    writeFileSync(join(plugin.runDir, 'ipam/weft', plugin.allocated()[0] ?? ''), content);

  for (const { says, env, before: damage } of cases) {
    it(`leaves nothing, the first time and the next: ${says}`, async () => {
      const a = pod();
      await plugin.must('ADD', a);
      damage?.(a);
      for (let i = 0; i < 2; i++) {
        assert.equal(await plugin.must('DEL', a, { env: env?.(a) ?? {} }), undefined);
        plugin.assertNothingLeft();
      }
    });
  }

  it('succeeds before any ADD, and makes nothing but the folder where calls meet', async () => {
    await plugin.must('DEL', pod());
    plugin.assertNothingLeft();
    assert.deepEqual(readdirSync(plugin.runDir).sort(), ['attachments', 'subnet.env']);
  });

  it('leaves the other pods alone', async () => {
    const [a, b] = [pod(), pod()];
    await plugin.must('ADD', a);
    const kept = await plugin.must('ADD', b);
    await plugin.must('DEL', a);
    ping(addressOf(kept));
    assert.deepEqual(plugin.allocated(), [addressOf(kept)]);
  });

  it('frees the address only once the interface is gone', async () => {
    let freedTooEarly: boolean | undefined;
    const watching = new Plugin({
      removeLinks: async (indexes) => {
        freedTooEarly = watching.allocated().length === 0;
        for (const index of indexes) {
          const [found] = ipJson('link', 'show').filter(({ ifindex }) => ifindex === index);
          run('ip', 'link', 'del', found.ifname);
        }
      },
    });
    watching.lease();
    const a = pod();
    await watching.must('ADD', a);
    await watching.must('DEL', a);
    assert.equal(freedTooEarly, false);
    watching.assertNothingLeft();
    watching.dispose();
  });

  it('frees what host-local had recorded for a pod that another plugin made', async () => {
    const old = pod('old');
    const hostLocalDir = mkdtempSync(join(tmpdir(), 'weft-attach-hostlocal-'));
    mkdirSync(join(hostLocalDir, 'cbr0'));
    writeFileSync(join(hostLocalDir, 'cbr0/10.9.0.2'), `${old.containerId}\r\neth0`);
    const migrated = new Plugin({ hostLocalDir });
    migrated.config = {
      ipam: { type: 'host-local', subnet: '10.9.0.0/24', rangeEnd: '10.9.0.3', dataDir: hostLocalDir },
    };
    assert.equal(addressOf(await migrated.must('ADD', pod())), '10.9.0.3');
    await migrated.must('DEL', old);
    assert.equal(addressOf(await migrated.must('ADD', pod())), '10.9.0.2');
    migrated.dispose();
    rmSync(hostLocalDir, { recursive: true });
  });

  it('and ADD at once of one attachment take turns', async () => {
    const a = pod();
    await plugin.must('ADD', a);
    const [, added] = await Promise.all([plugin.must('DEL', a), plugin.must('ADD', a)]);
    ping(addressOf(added));
    assert.deepEqual(plugin.allocated(), [addressOf(added)]);
  });
});

describe('a long-lived plugin', () => {
  it('makes the bridge again where somebody took it away', async () => {
    await plugin.must('ADD', pod());
    run('ip', 'link', 'del', 'cni0');
    const result = await plugin.must('ADD', pod());
    ping(addressOf(result));
  });

  it('repairs the bridge where somebody put it down or took its address', async () => {
    await plugin.must('ADD', pod());
    run('ip', 'address', 'flush', 'dev', 'cni0');
    run('ip', 'link', 'set', 'cni0', 'down');
    const result = await plugin.must('ADD', pod());
    ping(addressOf(result));
  });

  it('keeps the bridge’s MAC as ports come and go', async () => {
    await plugin.must('ADD', pod());
    const mac = () => ipJson('link', 'show', 'cni0')[0].address;
    const before = mac();
    run('ip', 'link', 'add', 'low0', 'address', '02:00:00:00:00:01', 'master', 'cni0', 'type', 'ifb');
    assert.equal(mac(), before);
    run('ip', 'link', 'del', 'low0');
    assert.equal(mac(), before);
  });

  it('gives a container that was killed with its namespace up after two looks', async () => {
    const a = new Pod();
    await plugin.must('ADD', a);
    const [live] = [pod()];
    await plugin.must('ADD', live);
    a.destroy();
    await waitFor(() => ipJson('link', 'show', 'master', 'cni0').length === 1);
    await plugin.verbs.sweep();
    assert.equal(plugin.allocated().length, 2);
    await plugin.verbs.sweep();
    assert.deepEqual(plugin.allocated(), ['10.244.1.3']);
    assert.equal(plugin.records().length, 1);
  });
});
