/** A pod's MAC belongs to its bridge port: no sibling captures its traffic, and other MACs of a pod still work. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { BridgesPart } from '../../../agent/bridge/bridges-part.ts';
import { everything } from '../../../agent/reconcile/trigger.ts';
import { PodRecords } from '../../../agent/records.ts';
import { openRtnl } from '../../../kernel/netlink/rtnl.ts';
import { ipv4, openWire } from '../traffic/frames.ts';
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

interface Attached {
  readonly pod: Pod;
  readonly address: string;
  readonly mac: string;
  readonly port: string;
}

async function attach(config: object = {}, name?: string): Promise<Attached> {
  const made = pod(name);
  const result = await plugin.must('ADD', made, { config });
  const [, host, container] = result.interfaces;
  return { pod: made, address: addressOf(result), mac: container.mac, port: host.name };
}

/** The port that the bridge forwards a MAC to; undefined: to all of them. */
const portOf = (mac: string): string | undefined =>
  JSON.parse(run('bridge', '-j', 'fdb', 'show', 'br', 'cni0')).find(
    (entry: { mac: string }) => entry.mac === mac,
  )?.ifname;

/** A frame with another's MAC as its source, and the sender's own address. It has arrived when this returns. */
function sendAs(mac: string, from: Attached): void {
  const wire = openWire(from.pod, 'eth0');
  wire.send(ipv4({ fromMac: mac }, from.address, '10.244.1.1'));
  wire.close();
}

describe('bridge port of a leased pod', () => {
  it('sibling sends with the pod’s MAC: the pod keeps its traffic', async () => {
    const victim = await attach();
    const thief = await attach();
    ping(victim.address);
    sendAs(victim.mac, thief);
    assert.equal(portOf(victim.mac), victim.port);
    ping(victim.address);
  });

  it('sibling sent with the MAC before the pod was made: the pod gets its traffic', async () => {
    const thief = await attach();
    const mac = '02:00:00:00:00:77';
    sendAs(mac, thief);
    const victim = pod();
    const result = await plugin.must('ADD', victim, { env: { CNI_ARGS: `MAC=${mac}` } });
    sendAs(mac, thief);
    assert.equal(portOf(mac), result.interfaces[1].name);
    ping(addressOf(result));
  });

  it('host port moves off the bridge and back, reconciled: the MAC is bound again', async () => {
    const victim = await attach();
    const thief = await attach();
    run('ip', 'link', 'set', victim.port, 'nomaster');
    run('ip', 'link', 'set', victim.port, 'master', 'cni0');
    reconcile();
    sendAs(victim.mac, thief);
    assert.equal(portOf(victim.mac), victim.port);
  });

  it('entry deleted outside weft, reconciled: the MAC is bound again, once', async () => {
    const victim = await attach();
    run('bridge', 'fdb', 'del', victim.mac, 'dev', victim.port, 'master');
    assert.deepEqual(reconcile(), [`cni0: ${victim.mac} bound to ${victim.port}`]);
    assert.deepEqual(reconcile(), []);
    const thief = await attach();
    sendAs(victim.mac, thief);
    assert.equal(portOf(victim.mac), victim.port);
  });

  it('CHECK, entry deleted outside weft: says so', async () => {
    const config = { cniVersion: '1.1.0' };
    const made = pod();
    const prevResult = await plugin.must('ADD', made, { config });
    await plugin.must('CHECK', made, { config: { prevResult } });
    const [, host, container] = prevResult.interfaces;
    run('bridge', 'fdb', 'del', container.mac, 'dev', host.name, 'master');
    await plugin.refused(105, /not bound to/, 'CHECK', made, { config: { prevResult } });
  });
});

/** One pass of the agent's part that keeps bridges; what it did. */
function reconcile(): readonly string[] {
  const rtnl = openRtnl();
  try {
    const kept = new BridgesPart({ rtnl, records: new PodRecords(plugin.runDir) });
    const pass = { reasons: [], failed: [], ...everything };
    return kept.reconcile({ families: [], underlayProblems: [] }, pass).done;
  } finally {
    rtnl.close();
  }
}

describe('other MACs of a leased pod', () => {
  it('a chained plugin changes the MAC (tuning): the pod is reachable', async () => {
    const { pod: tuned, address } = await attach();
    tuned.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:99');
    tuned.ping('10.244.1.1');
    ping(address);
  });

  it('macvlan inside the pod has the pod’s address: it is reachable', async () => {
    const { pod: outer, address } = await attach();
    outer.run('ip', 'addr', 'flush', 'dev', 'eth0');
    outer.run('ip', 'link', 'add', 'link', 'eth0', 'name', 'mv0', 'type', 'macvlan', 'mode', 'bridge');
    outer.run('ip', 'addr', 'add', `${address}/24`, 'dev', 'mv0');
    outer.run('ip', 'link', 'set', 'mv0', 'up');
    outer.ping('10.244.1.1');
    ping(address);
  });

  it('machine bridged inside the pod has its MAC and address: it is reachable', async () => {
    // With hairpin mode the pod's own broadcasts come back to its bridge, with and without this check.
    const { pod: outer, address, mac } = await attach({ hairpinMode: false });
    const machine = pod('machine');
    outer.run('ip', 'addr', 'flush', 'dev', 'eth0');
    outer.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:98');
    outer.run('ip', 'link', 'add', 'br1', 'type', 'bridge');
    outer.run(
      'ip',
      'link',
      'add',
      'tap0',
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      machine.namespace,
    );
    for (const port of ['eth0', 'tap0']) outer.run('ip', 'link', 'set', port, 'master', 'br1', 'up');
    outer.run('ip', 'link', 'set', 'br1', 'up');
    machine.run('ip', 'link', 'set', 'eth0', 'address', mac, 'up');
    machine.run('ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    machine.run('ping', '-c1', '-W10', '10.244.1.1');
    ping(address);
  });

  it('hairpin: the pod reaches itself by an address of a Service', async () => {
    const { pod: self, address } = await attach();
    run(
      'nft',
      `table ip svc {
      chain in { type nat hook prerouting priority dstnat; ip daddr 10.96.0.1 dnat to ${address}; }
      chain out { type nat hook postrouting priority srcnat; ip saddr ${address} ip daddr ${address} masquerade; }
    }`,
    );
    self.ping('10.96.0.1');
  });
});

describe('macspoofchk', () => {
  it('false: no MAC is bound', async () => {
    const free = await attach({ macspoofchk: false });
    const other = await attach({ macspoofchk: false });
    // The pod itself may send in between (its kernel reports multicast groups), and then the bridge learns that.
    const isLearned = (): boolean => {
      sendAs(free.mac, other);
      return portOf(free.mac) === other.port;
    };
    await waitFor(isLearned);
    assert.deepEqual(reconcile(), []);
    await waitFor(isLearned);
  });

  it('true: frames with another MAC are dropped, and the pod’s own is bound', async () => {
    const victim = await attach({ macspoofchk: true });
    const thief = await attach({ macspoofchk: true });
    sendAs('02:00:00:00:00:55', thief);
    assert.equal(portOf('02:00:00:00:00:55'), undefined);
    assert.equal(ipJson('link', 'show', 'dev', victim.port)[0].ifname, victim.port);
    sendAs(victim.mac, thief);
    assert.equal(portOf(victim.mac), victim.port);
  });
});

describe('pods of an earlier version', () => {
  it('record without the binding, reconciled: the MAC is bound', async () => {
    const victim = await attach();
    run('bridge', 'fdb', 'del', victim.mac, 'dev', victim.port, 'master');
    const directory = join(plugin.runDir, 'attachments');
    for (const name of readdirSync(directory)) {
      const file = join(directory, name);
      const today = readFileSync(file, 'utf8');
      writeFileSync(file, today.replaceAll(',"holdsMac":true', ''));
      assert.notEqual(readFileSync(file, 'utf8'), today);
    }
    reconcile();
    const thief = await attach();
    sendAs(victim.mac, thief);
    assert.equal(portOf(victim.mac), victim.port);
  });
});

describe('router advertisements', () => {
  const settings = ['accept_ra', 'autoconf'] as const;
  const read = (made: Pod) => settings.map((key) => made.read(`/proc/sys/net/ipv6/conf/eth0/${key}`).trim());

  for (const [what, lease] of [
    ['IPv4', {}],
    ['dual stack', { FLANNEL_IPV6_NETWORK: 'fd00::/48', FLANNEL_IPV6_SUBNET: 'fd00:0:0:1::1/64' }],
  ] as const) {
    it(`leased pod, ${what}: it takes neither routes nor addresses from them`, async () => {
      plugin.lease(lease);
      const { pod: made } = await attach();
      assert.deepEqual(read(made), ['0', '0']);
    });
  }

  it('pod with ranges: it takes neither routes nor addresses from them', async () => {
    const made = pod();
    const ipam = { type: 'host-local', subnet: '10.1.0.0/24' };
    await plugin.must('ADD', made, { config: { ipam } });
    assert.deepEqual(read(made), ['0', '0']);
  });

  it('layer-2 network: the pod’s own settings stay', async () => {
    const made = pod();
    await plugin.must('ADD', made, { config: { ipam: {} } });
    assert.deepEqual(read(made), ['1', '1']);
  });
});
