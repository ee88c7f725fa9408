/** CHECK, GC and STATUS against the kernel. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { tryLock } from '../../../kernel/ffi.ts';
import { CniError } from '../../../plugin/errors.ts';
import { addressOf, enterHost, ipJson, leaveHost, Plugin, Pod, ping, run } from './ground.ts';

before(enterHost);
after(leaveHost);

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

let plugin: Plugin;
let pods: Pod[];
const pod = (): Pod => {
  const made = new Pod();
  pods.push(made);
  return made;
};
beforeEach(() => {
  plugin = new Plugin();
  plugin.lease({ FLANNEL_IPV6_NETWORK: 'fd00:10::/48', FLANNEL_IPV6_SUBNET: 'fd00:10:0:1::1/64' });
  pods = [];
});
afterEach(() => {
  for (const made of pods) made.destroy();
  plugin.dispose();
});

/** What ADD makes besides the interface. */
const everyStep = {
  macspoofchk: true,
  ipspoofchk: true,
  runtimeConfig: {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
  },
};

const port = (): string => ipJson('link', 'show', 'master', 'cni0')[0].ifname;

describe('CHECK', () => {
  it('passes right after ADD, whatever was asked for', async () => {
    for (const config of [
      {},
      { hairpinMode: false, portIsolation: true, mtu: 1300, isDefaultGateway: false },
      { hairpinMode: false, promiscMode: true, bridge: 'br1' },
      { ipam: {}, bridge: 'br2' },
      { ipam: {}, disableContainerInterface: true, bridge: 'br2' },
      {
        bridge: 'br3',
        isGateway: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.9.0.0/24', gateway: '10.9.0.254' }], [{ subnet: 'fd00:9::/64' }]],
          routes: [{ dst: '10.8.0.0/16' }, { dst: '10.7.0.0/16', gw: '10.9.0.7', mtu: 1300, priority: 7 }],
        },
        args: { cni: { ips: ['10.9.0.9'] } },
        runtimeConfig: { mac: '02:11:22:33:44:55' },
      },
    ]) {
      const a = pod();
      const prevResult = await plugin.must('ADD', a, { config });
      assert.equal(await plugin.must('CHECK', a, { config: { ...config, prevResult } }), undefined);
      await plugin.must('DEL', a);
      // One host has no use for two bridges of one subnet.
      for (const { ifname } of ipJson('link', 'show', 'type', 'bridge')) run('ip', 'link', 'del', ifname);
    }
    plugin.assertNothingLeft();
  });

  const damages: { what: string; damage: (a: Pod) => void; says: RegExp; config?: object; code?: number }[] =
    [
      {
        what: 'bridge gone',
        damage: () => run('ip', 'link', 'del', 'cni0'),
        says: /bridge cni0 does not exist/,
      },
      {
        what: 'bridge down',
        damage: () => run('ip', 'link', 'set', 'cni0', 'down'),
        says: /cni0's state is down/,
      },
      {
        what: 'bridge MAC changed',
        damage: () => run('ip', 'link', 'set', 'cni0', 'address', '02:00:00:00:00:99'),
        says: /cni0's MAC is 02:00:00:00:00:99/,
      },
      {
        what: 'bridge address gone',
        damage: () => run('ip', 'address', 'del', '10.244.1.1/24', 'dev', 'cni0'),
        says: /cni0 does not have the address 10\.244\.1\.1\/24/,
      },
      {
        what: 'host route gone',
        damage: () => run('ip', 'route', 'del', '10.244.1.0/24', 'dev', 'cni0'),
        says: /host's route to 10\.244\.1\.2 is not by cni0/,
      },
      {
        what: 'host route led elsewhere',
        damage: () => {
          run('ip', 'link', 'add', 'other0', 'up', 'type', 'bridge');
          run('ip', 'route', 'add', '10.244.1.2/32', 'dev', 'other0');
        },
        says: /host's route to 10\.244\.1\.2 is not by cni0/,
      },
      {
        what: 'host route of IPv6 gone',
        damage: () => run('ip', 'route', 'del', 'fd00:10:0:1::/64', 'dev', 'cni0'),
        says: /host's route to fd00:10:0:1::2 is not by cni0/,
      },
      ...(
        [
          [
            'a host port',
            'flush map inet weft hostports-ipv4',
            /portMappings: .*hostports-ipv4.* is missing/,
          ],
          [
            'the rules for host ports',
            'flush chain inet weft part-hostports',
            /portMappings: the rules .* are missing/,
          ],
          ['the spoof check', 'flush set bridge weft spoof-mac-ipv4', /spoofCheck: .* is missing/],
        ] as const
      ).map(([what, command, says]) => ({
        what: `${what} gone`,
        damage: () => run('nft', command),
        says,
        config: everyStep,
      })),
      {
        what: 'shaping of what the pod receives gone',
        damage: () => run('tc', 'qdisc', 'del', 'dev', port(), 'root'),
        says: /bandwidth: veth\w+ is not limited/,
        config: everyStep,
      },
      {
        what: 'shaping of what the pod sends gone',
        damage: () => run('ip', 'link', 'del', port().replace('veth', 'ifb')),
        says: /bandwidth: ifb\w+ does not exist/,
        config: everyStep,
      },
      {
        what: 'forwarding switched off',
        damage: () => writeFileSync('/proc/sys/net/ipv4/ip_forward', '0'),
        says: /ip_forward is 0, expected 1/,
      },
      {
        what: 'bridge promiscuous',
        damage: () => run('ip', 'link', 'set', 'cni0', 'promisc', 'on'),
        says: /promiscuous/,
      },
      {
        what: 'port off the bridge',
        damage: () => run('ip', 'link', 'set', port(), 'nomaster'),
        says: /'s bridge is absent/,
      },
      {
        what: 'hairpin switched off',
        damage: () => run('bridge', 'link', 'set', 'dev', port(), 'hairpin', 'off'),
        says: /hairpin mode is false, expected true/,
      },
      {
        what: 'isolation switched on',
        damage: () => run('bridge', 'link', 'set', 'dev', port(), 'isolated', 'on'),
        says: /isolation is true, expected false/,
      },
      {
        what: 'host end down',
        damage: () => run('ip', 'link', 'set', port(), 'down'),
        says: /'s state is down/,
      },
      {
        what: 'host MTU changed',
        damage: () => run('ip', 'link', 'set', port(), 'mtu', '1400'),
        says: /'s MTU is 1400/,
      },
      { what: 'interface gone', damage: (a) => a.run('ip', 'link', 'del', 'eth0'), says: /does not exist/ },
      {
        what: 'pod MTU changed',
        damage: (a) => a.run('ip', 'link', 'set', 'eth0', 'mtu', '1400'),
        says: /eth0's MTU is 1400/,
      },
      {
        what: 'pod MAC changed',
        damage: (a) => a.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77'),
        says: /eth0's MAC is 02:00:00:00:00:77/,
      },
      {
        what: 'address gone',
        damage: (a) => a.run('ip', 'address', 'del', '10.244.1.2/24', 'dev', 'eth0'),
        says: /eth0 does not have the address 10\.244\.1\.2\/24/,
      },
      {
        what: 'IPv6 address gone',
        damage: (a) => a.run('ip', 'address', 'del', 'fd00:10:0:1::2/64', 'dev', 'eth0'),
        says: /does not have the address fd00:10:0:1::2\/64/,
      },
      {
        what: 'default route gone',
        damage: (a) => a.run('ip', 'route', 'del', 'default'),
        says: /route 0\.0\.0\.0\/0 via 10\.244\.1\.1 .*does not exist/,
      },
      {
        what: 'subnet route gone',
        damage: (a) => {
          a.run('ip', 'route', 'add', '10.244.1.1/32', 'dev', 'eth0');
          a.run('ip', 'route', 'del', '10.244.1.0/24');
        },
        says: /route to 10\.244\.1\.0\/24 does not exist/,
      },
      {
        what: 'address not on record',
        damage: () => run('rm', join(plugin.runDir, 'ipam/weft/10.244.1.2')),
        says: /10\.244\.1\.2 is not on record as this container's/,
      },
      {
        what: 'record gone',
        damage: () => run('rm', '-r', join(plugin.runDir, 'attachments')),
        says: /has no eth0 on network weft/,
        code: 3,
      },
    ];
  for (const { what, damage, says, config, code } of damages) {
    it(`tells what is amiss: ${what}`, async () => {
      const a = pod();
      const prevResult = await plugin.must('ADD', a, { config: config ?? {} });
      damage(a);
      await plugin.refused(code ?? 105, says, 'CHECK', a, { config: { ...config, prevResult } });
    });
  }

  it('accepts what plugins after us in the chain say that they changed', async () => {
    const a = pod();
    const prevResult = await plugin.must('ADD', a);
    a.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77');
    a.run('ip', 'link', 'set', 'eth0', 'mtu', '1400');
    prevResult.interfaces[2] = { ...prevResult.interfaces[2], mac: '02:00:00:00:00:77', mtu: 1400 };
    await plugin.must('CHECK', a, { config: { prevResult } });
  });

  it('wants the sandbox that the result names', async () => {
    const [a, b] = [pod(), pod()];
    const prevResult = await plugin.must('ADD', a);
    await plugin.refused(105, /sandbox of eth0/, 'CHECK', a, {
      config: { prevResult },
      env: { CNI_NETNS: b.netns },
    });
  });
});

describe('options', () => {
  it('promiscMode, portIsolation, mtu and mac are what the kernel then shows', async () => {
    const a = pod();
    await plugin.must('ADD', a, {
      config: {
        promiscMode: true,
        portIsolation: true,
        mtu: 1300,
        runtimeConfig: { mac: '02:11:22:33:44:55' },
      },
    });
    const [bridge] = ipJson('link', 'show', 'cni0');
    assert.ok(bridge.promiscuity > 0 && bridge.flags.includes('PROMISC'));
    const [end] = ipJson('link', 'show', 'master', 'cni0');
    assert.equal(end.linkinfo.info_slave_data.isolated, true);
    assert.equal(end.linkinfo.info_slave_data.hairpin, false);
    assert.equal(end.mtu, 1300);
    const [inside] = a.ipJson('link', 'show', 'eth0');
    assert.equal(inside.mtu, 1300);
    assert.equal(inside.address, '02:11:22:33:44:55');
  });

  it('portIsolation keeps pods apart, but not from the host', async () => {
    const [a, b] = [pod(), pod()];
    await plugin.must('ADD', a, { config: { portIsolation: true } });
    const other = await plugin.must('ADD', b, { config: { portIsolation: true } });
    a.ping('10.244.1.1');
    assert.throws(() => a.ping(addressOf(other)));
  });

  it('an empty ipam is a network of layer 2', async () => {
    const a = pod();
    const result = await plugin.must('ADD', a, { config: { ipam: {} } });
    assert.equal(result.ips, undefined);
    assert.equal(result.interfaces.length, 3);
    const [inside] = a.ipJson('address', 'show', 'eth0');
    assert.equal(inside.operstate, 'UP');
    assert.equal(
      inside.addr_info.some(({ scope }: { scope: string }) => scope === 'global'),
      false,
    );
    assert.deepEqual(plugin.allocated(), []);
  });

  it('disableContainerInterface leaves the pod’s end down', async () => {
    const a = pod();
    await plugin.must('ADD', a, { config: { ipam: {}, disableContainerInterface: true } });
    assert.equal(a.ipJson('link', 'show', 'eth0')[0].flags.includes('UP'), false);
  });

  it('dns of the configuration replaces resolvConf’s', async () => {
    const resolvConf = join(plugin.runDir, 'resolv.conf');
    writeFileSync(
      resolvConf,
      '# comment\nnameserver 10.0.0.53\nsearch a.example b.example\noptions ndots:5\n',
    );
    const ipam = { type: 'host-local', subnet: '10.9.0.0/24', resolvConf };
    const [a, b] = [pod(), pod()];
    const { dns } = await plugin.must('ADD', a, { config: { ipam } });
    assert.deepEqual(dns, {
      nameservers: ['10.0.0.53'],
      search: ['a.example', 'b.example'],
      options: ['ndots:5'],
    });
    const own = await plugin.must('ADD', b, { config: { ipam, dns: { nameservers: ['10.1.1.1'] } } });
    assert.deepEqual(own.dns, { nameservers: ['10.1.1.1'] });
  });
});

describe('GC', () => {
  const valid = (...live: Pod[]) => ({
    config: {
      'cni.dev/valid-attachments': live.map(({ containerId }) => ({
        containerID: containerId,
        ifname: 'eth0',
      })),
    },
  });

  it('removes what is not listed, and leaves what is', async () => {
    const [live, dead, dead2] = [pod(), pod(), pod()];
    const kept = await plugin.must('ADD', live);
    await plugin.must('ADD', dead);
    await plugin.must('ADD', dead2);
    await plugin.must('GC', undefined, valid(live));
    assert.deepEqual(plugin.allocated(), ['10.244.1.2', 'fd00:10:0:1::2']);
    assert.equal(plugin.records().length, 1);
    assert.equal(ipJson('link', 'show', 'master', 'cni0').length, 1);
    ping(addressOf(kept));
  });

  it('keeps to its network', async () => {
    const [ours, theirs] = [pod(), pod()];
    await plugin.must('ADD', ours);
    const other = await plugin.must('ADD', theirs, { config: { name: 'weft-2' } });
    await plugin.must('GC', undefined, valid());
    assert.deepEqual(plugin.allocated(), []);
    assert.equal(plugin.allocated('weft-2').length, 2);
    ping(addressOf(other));
  });

  it('removes what has lost its records', async () => {
    for (const lost of ['attachments', 'ipam/weft', 'ipam-order', '.']) {
      const a = pod();
      await plugin.must('ADD', a);
      run('sh', '-c', `rm -rf ${plugin.runDir}/${lost}/*`);
      await plugin.must('GC', undefined, valid());
      plugin.assertNothingLeft();
      plugin.lease();
    }
  });

  it('removes what has damaged records, unless it is listed', async () => {
    const a = pod();
    await plugin.must('ADD', a);
    const [record] = plugin.records();
    writeFileSync(join(plugin.runDir, 'attachments', record ?? ''), '{');
    writeFileSync(join(plugin.runDir, 'ipam/weft/10.244.1.2'), '');
    await plugin.must('GC', undefined, valid(a));
    assert.equal(ipJson('link', 'show', 'master', 'cni0').length, 1);
    await plugin.must('GC', undefined, valid());
    plugin.assertNothingLeft();
  });

  it('leaves a record alone that an ADD has just made and not yet written', async () => {
    mkdirSync(join(plugin.runDir, 'attachments'));
    const file = join(plugin.runDir, 'attachments', `${'0'.repeat(32)}.json`);
    const fd = openSync(file, 'w');
    assert.ok(tryLock(fd, 'lock the record'));
    const collecting = plugin.must('GC', undefined, valid());
    writeSync(fd, 'what the ADD writes');
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(existsSync(file));
    closeSync(fd);
    await collecting;
    plugin.assertNothingLeft();
  });

  it('without a list removes nothing', async () => {
    await plugin.must('ADD', pod());
    await plugin.must('GC');
    assert.equal(plugin.records().length, 1);
  });

  it('goes on past what fails, and reports it', async () => {
    const [a, b] = [pod(), pod()];
    let calls = 0;
    const failing = new Plugin({
      removeLinks: async (indexes) => {
        if (calls++ === 0) throw new Error('no such luck');
        for (const index of indexes) {
          const found = ipJson('link', 'show').find(({ ifindex }) => ifindex === index);
          run('ip', 'link', 'del', found.ifname);
        }
      },
    });
    failing.lease();
    await failing.must('ADD', a);
    await failing.must('ADD', b);
    await failing.refused(999, /GC: no such luck/, 'GC', undefined, valid());
    assert.equal(failing.records().length, 1);
    await failing.must('GC', undefined, valid());
    failing.assertNothingLeft();
    failing.dispose();
  });
});

describe('STATUS', () => {
  it('is silent where an ADD would be served', async () => {
    assert.equal(await plugin.must('STATUS'), undefined);
  });

  it('says that addresses are exhausted', async () => {
    const config = { ipam: { type: 'host-local', subnet: '10.9.0.0/30' } };
    await plugin.must('STATUS', undefined, { config });
    await plugin.must('ADD', pod(), { config });
    await plugin.refused(
      50,
      /no IP addresses available in range set: 10\.9\.0\.1-10\.9\.0\.2/,
      'STATUS',
      undefined,
      {
        config,
      },
    );
  });

  it('says that the leased subnet is exhausted', async () => {
    plugin.lease({ FLANNEL_SUBNET: '10.244.1.1/30' });
    await plugin.must('STATUS');
    await plugin.must('ADD', pod());
    await plugin.refused(50, /no IP addresses available in range set: 10\.244\.1\.1-10\.244\.1\.2/, 'STATUS');
  });

  it('says that there is no lease, and that it has run out', async () => {
    const bare = new Plugin();
    await bare.refused(50, /this node has no subnet yet/, 'STATUS');
    bare.lease();
    const late = { boot: bootId, deadlineMs: 1, reason: 'the store does not answer' };
    writeFileSync(join(bare.runDir, 'lease.json'), JSON.stringify(late));
    await bare.refused(50, /cannot prove any more .*: the store does not answer/, 'STATUS');
    await bare.refused(11, /cannot prove any more .*: the store does not answer/, 'ADD', pod());
    bare.dispose();
  });

  it('says what the process that answers knows', async () => {
    const sick = new Plugin({
      checkHealth: () => {
        throw new CniError('limited-connectivity', 'weft.1 is missing');
      },
    });
    sick.lease();
    await sick.refused(51, /weft\.1 is missing/, 'STATUS');
    // A lease that is lost has no deadline either, and pods that run may feel it.
    writeFileSync(
      join(sick.runDir, 'lease.json'),
      JSON.stringify({ boot: bootId, deadlineMs: 0, reason: 'lost' }),
    );
    await sick.refused(51, /weft\.1 is missing/, 'STATUS');
    sick.dispose();
  });
});
