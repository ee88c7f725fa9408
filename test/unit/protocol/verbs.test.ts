/** What each verb's implementation is called with. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatIp } from '../../../inet/ip.ts';
import { assertRefused, invoke, made, netns } from './plugin.ts';

const attachment = { network: 'net', containerId: 'pod', ifname: 'eth0' };
const prevResult = { interfaces: [{ name: 'eth0', sandbox: netns }], ips: [{ address: '10.1.0.5/24' }] };

describe('ADD', () => {
  it('is given attachment, namespace and pod', async () => {
    const K8S = 'IgnoreUnknown=1;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;FOO=BAR';
    const [call] = (await invoke({ verb: 'ADD', env: { CNI_ARGS: `${K8S};K8S_POD_UID=u` } })).calls;
    assert.ok(call?.verb === 'add');
    assert.deepEqual(call.request.attachment, attachment);
    assert.equal(call.request.netns, netns);
    assert.deepEqual(
      { ...call.request.pod },
      {
        namespace: 'ns',
        name: 'web-0',
        uid: 'u',
        infraContainerId: undefined,
      },
    );
  });

  it('answers what came before it in the chain, then its own, with indexes that still fit', async () => {
    const before = {
      interfaces: [{ name: 'lo', sandbox: netns }],
      ips: [{ address: '127.0.0.1/8', interface: 0 }, { address: '192.0.2.1/32' }],
      routes: [{ dst: '192.0.2.0/24' }],
      dns: { nameservers: ['192.0.2.53'] },
    };
    const { output } = await invoke({ verb: 'ADD', config: { prevResult: before } });
    const { interfaces, ips, routes, dns } = output as Record<string, Record<string, unknown>[]>;
    assert.deepEqual(
      interfaces?.map((each) => each.name),
      ['lo', 'cni0', 'veth1', 'eth0'],
    );
    assert.deepEqual(
      ips?.map((each) => each.interface),
      [0, undefined, 3, 3],
    );
    assert.equal(routes?.length, 3);
    assert.deepEqual(dns, before.dns);
  });
  it('refuses a prevResult that it cannot pass on, before anything is made', async () => {
    const outcome = await invoke({ verb: 'ADD', config: { prevResult: { ips: [{ address: 'x' }] } } });
    assertRefused(outcome, { code: 7, msg: /prevResult\.ips\[0\]\.address/ });
    assert.deepEqual(outcome.calls, []);
  });
  it('takes back what it made if the version cannot express it', async () => {
    const config = { cniVersion: '0.2.0' };
    const outcome = await invoke({ verb: 'ADD', config, result: { ...made, ips: [] } });
    assertRefused(outcome, { code: 7, msg: 'cannot convert: no valid IP addresses' });
    assert.deepEqual(
      outcome.calls.map((call) => call.verb),
      ['add', 'del'],
    );
  });
});

describe('DEL', () => {
  it('is given the attachment and no namespace where there is none', async () => {
    for (const value of [null, '']) {
      const [call] = (await invoke({ verb: 'DEL', env: { CNI_NETNS: value } })).calls;
      const nothing = { netns: undefined, prevResult: undefined, hostLocalDir: undefined, opened: undefined };
      assert.deepEqual(call?.request, { attachment, ...nothing, trace: {} });
    }
  });
  it('is given the prevResult, in whichever shape', async () => {
    const shapes = [
      { cniVersion: '0.4.0', prevResult },
      { cniVersion: '1.1.0', prevResult: { ip4: { ip: '10.1.0.5/24' } } },
    ];
    for (const config of shapes) {
      const [call] = (await invoke({ verb: 'DEL', config })).calls;
      assert.ok(call?.verb === 'del');
      const address = call.request.prevResult?.ips[0]?.address.address;
      assert.equal(address && formatIp(address), '10.1.0.5');
    }
  });
  const wrong: [what: string, config: Record<string, unknown>][] = [
    ['a prevResult that is none', { prevResult: 'gone' }],
    ['a prevResult with garbage in it', { prevResult: { ips: [{ address: 5 }] } }],
    ['an option that is not supported', { vlan: 100 }],
    ['an ipam section that is wrong', { ipam: { type: 'dhcp' }, mtu: 'large' }],
    ['a runtimeConfig that is wrong', { runtimeConfig: { portMappings: [{ hostPort: 0 }] } }],
    ['two addresses of a family in 0.2.0', { cniVersion: '0.2.0', ipam: { ranges: [[], []] } }],
  ];
  for (const [what, config] of wrong) {
    it(`works in spite of ${what}`, async () => {
      const { status, stdout, calls } = await invoke({ verb: 'DEL', config });
      assert.deepEqual([status, stdout, calls.length], [0, '', 1]);
    });
  }
  it('works in spite of CNI_ARGS that are wrong', async () => {
    assert.equal((await invoke({ verb: 'DEL', env: { CNI_ARGS: 'no pair' } })).calls.length, 1);
  });
});

describe('CHECK', () => {
  it('is given the result that it checks', async () => {
    const [call] = (await invoke({ verb: 'CHECK', config: { prevResult } })).calls;
    assert.ok(call?.verb === 'check');
    assert.equal(call.request.prevResult.interfaces[0]?.sandbox, netns);
    assert.deepEqual(call.request.attachment, attachment);
  });
  it('needs that result', async () => {
    for (const value of [undefined, null]) {
      const outcome = await invoke({ verb: 'CHECK', config: { prevResult: value } });
      assertRefused(outcome, { code: 7, msg: 'Required prevResult missing' });
    }
  });
});

describe('GC', () => {
  const list = [{ containerID: 'a', ifname: 'eth0' }];
  const expected = [{ containerId: 'a', ifname: 'eth0' }];
  const cases: [config: Record<string, unknown>, expected: unknown[]][] = [
    [{ 'cni.dev/valid-attachments': list }, expected],
    [{ 'cni.dev/attachments': list }, expected],
    [{ 'CNI.dev/Valid-Attachments': [{ ContainerID: 'a', IfName: 'eth0' }] }, expected],
    [{ 'cni.dev/valid-attachments': [], 'cni.dev/attachments': list }, []],
    [{ 'cni.dev/valid-attachments': null }, []],
  ];
  for (const [config, attachments] of cases) {
    it(`is told what lives by ${JSON.stringify(config)}`, async () => {
      const [call] = (await invoke({ verb: 'GC', config })).calls;
      assert.deepEqual(call?.request, { network: 'net', validAttachments: attachments, trace: {} });
    });
  }
  it('removes nothing where no list is given', async () => {
    const { status, stdout, stderr, calls } = await invoke({ verb: 'GC' });
    assert.deepEqual([status, stdout, calls], [0, '', []]);
    assert.match(stderr, /nothing is removed/);
  });
  for (const entry of [{ ifname: 'eth0' }, { containerID: 'a', ifname: '' }]) {
    it(`removes nothing where the list holds ${JSON.stringify(entry)}`, async () => {
      const outcome = await invoke({ verb: 'GC', config: { 'cni.dev/valid-attachments': [...list, entry] } });
      assertRefused(outcome, { code: 7, msg: /valid-attachments\[1\] must have a containerID/ });
      assert.deepEqual(outcome.calls, []);
    });
  }
});

describe('STATUS', () => {
  it('is given the configuration, and fails for one that ADD would refuse', async () => {
    const [call] = (await invoke({ verb: 'STATUS', config: { bridge: 'br7' } })).calls;
    assert.ok(call?.verb === 'status');
    assert.equal(call.request.config.bridge.bridge, 'br7');
    assertRefused(await invoke({ verb: 'STATUS', config: { vlan: 5 } }), { code: 2 });
  });
});
