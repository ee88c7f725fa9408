/** Which address a node announces, and what it sends from, while addresses come and go. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { formatIp } from '../../inet/ip.ts';
import { Lab } from '../../lab/lab.ts';
import { readLeases } from '../../lab/leases.ts';
import type { LabNode } from '../../lab/node.ts';
import { formatMatrix, lost } from '../../lab/ping.ts';
import { eventually, labName, leftovers, reconfigure } from './ground.ts';

const name = labName('address');
let lab: Lab;
let one: LabNode;
let two: LabNode;

before(async () => {
  const probes = { period: '1s', failureThreshold: 2 };
  lab = await Lab.up({ name, nodes: 2, store: 'etcd', configuration: { probes } });
  [one, two] = [lab.node('node-1'), lab.node('node-2')];
  await Promise.all(lab.nodes.map((node) => lab.pod(node.name, `on-${node.name}`)));
});

after(async () => {
  await Lab.down(name);
  assert.deepEqual(await leftovers(name), []);
});

const sh = (on: LabNode, command: string): Promise<string> => on.mustExec(['sh', '-ec', command]);
const announced = async (): Promise<string[]> =>
  (await readLeases(lab)).flatMap(({ publicIps }) => publicIps.map(formatIp)).toSorted();

async function allReach(): Promise<void> {
  const results = await lab.ping();
  assert.deepEqual(lost(results), [], formatMatrix(results));
}

const defaultRoute = 'ip route replace default via 192.168.188.1';
const own = ['192.168.188.101', '192.168.188.102'];

describe('floating address', () => {
  const vip = '192.168.188.200/32';

  it('comes to a node, moves to the other one: both keep their own, nothing is lost', async () => {
    for (const [from, to] of [
      [two, one],
      [one, two],
    ] as const) {
      await sh(from, `ip address del ${vip} dev eth0 2>/dev/null || :`);
      await sh(to, `ip address add ${vip} dev eth0`);
      await allReach();
      assert.deepEqual(await announced(), own);
    }
    await sh(two, `ip address del ${vip} dev eth0`);
  });

  it('the own address is lost for a moment: announced again when it is back', async () => {
    await sh(one, 'ip address add 192.168.188.200/32 dev eth0; ip address del 192.168.188.101/24 dev eth0');
    await sh(
      one,
      'sleep 1; ip address add 192.168.188.101/24 dev eth0; ip route replace default via 192.168.188.1',
    );
    await eventually(async () => {
      assert.deepEqual(await announced(), own);
      await allReach();
    });
    await sh(one, 'ip address del 192.168.188.200/32 dev eth0');
    await allReach();
  });

  it('address of the peer on this node besides: never announced', async () => {
    await sh(one, 'ip address add 192.168.188.102/32 dev eth0');
    await sh(one, 'ip address del 192.168.188.102/32 dev eth0');
    await allReach();
    assert.deepEqual(await announced(), own);
  });
});

describe('address changed while the connection to etcd was made from the one of before', () => {
  it('the new one reaches the store and the peer within seconds', async () => {
    const begun = performance.now();
    await sh(
      one,
      `ip address del 192.168.188.101/24 dev eth0; ip address add 192.168.188.77/24 dev eth0; ${defaultRoute}`,
    );
    await eventually(async () => {
      assert.deepEqual(await announced(), ['192.168.188.102', '192.168.188.77']);
    });
    assert.ok(performance.now() - begun < 8000, `${performance.now() - begun} ms`);
    await eventually(allReach);
    await sh(
      one,
      `ip address del 192.168.188.77/24 dev eth0; ip address add 192.168.188.101/24 dev eth0; ${defaultRoute}`,
    );
    await eventually(async () => assert.deepEqual(await announced(), own));
    await eventually(allReach);
  });
});

describe('publicIP that the host has on another interface', () => {
  it('packets are sent from it, and the peer accepts them', async () => {
    const second = '198.51.100.7';
    await sh(
      one,
      `ip link add second type ifb; ip link set second up; ip address add ${second}/32 dev second`,
    );
    await sh(two, `ip route add ${second}/32 via 192.168.188.101`);
    reconfigure([one], { publicIP: second });
    await eventually(async () => assert.deepEqual(await announced(), ['192.168.188.102', second]));
    await eventually(async () => {
      assert.match(await sh(one, 'ip -d link show weft.1'), /local 198\.51\.100\.7 /);
      await allReach();
    });
    reconfigure([one], { publicIP: null });
    await eventually(async () => assert.deepEqual(await announced(), own));
    await eventually(allReach);
    await sh(one, 'ip link del second');
  });
});

describe('peer whose tunnel packets come from an address that it has not announced', () => {
  const readyz = 'fetch("http://127.0.0.1:9472/readyz").then(async (r) => console.log(await r.text()))';

  const rewrite = 'udp dport 8472 ip saddr set 192.168.188.222';

  it('silent, and the source of the dropped packets is named; the kernel counts them', async () => {
    await sh(
      two,
      `nft 'table ip rewritten { chain out { type filter hook postrouting priority 400; ${rewrite}; }; }'`,
    );
    await eventually(async () => {
      const text = await one.mustExec(['node', '-e', readyz]);
      assert.match(text, /no answer to probes through the tunnel from node-2/);
      assert.match(text, /tunnel packets dropped from 192\.168\.188\.222, which no node has announced/);
    });
    assert.match(
      await sh(one, 'nft list set inet weft dropped-received-ipv4'),
      /192\.168\.188\.222 .*counter packets [1-9]/,
    );
    await sh(two, 'nft delete table ip rewritten');
    await eventually(async () => {
      assert.doesNotMatch(await one.mustExec(['node', '-e', readyz]), /no answer|dropped from/);
    });
    await allReach();
  });
});

describe('both nodes behind a NAT that forwards to them only', () => {
  it('packets come from the inner addresses, which peers know from the extension, and are accepted', async () => {
    const outer = new Map([
      [one, '198.51.100.1'],
      [two, '198.51.100.2'],
    ]);
    for (const [node, address] of outer) {
      const [inner] = node.addresses;
      // DNAT as the router would do it: on the way out of the sender, for there is no router between the two.
      const others = [...outer].filter(([other]) => other !== node);
      const rules = others.map(([other, at]) => `ip daddr ${at} dnat to ${other.addresses[0]}`).join('; ');
      await sh(
        node,
        `nft 'table ip outer { chain output { type nat hook output priority -100; ${rules}; }; }'`,
      );
      await sh(node, `ip route add 198.51.100.0/24 dev eth0`);
      reconfigure([node], { publicIP: address });
      assert.ok(inner);
    }
    await eventually(async () => assert.deepEqual(await announced(), [...outer.values()]));
    await eventually(async () => {
      const set = await sh(one, 'nft list set inet weft peers-ipv4');
      assert.match(set, /192\.168\.188\.102/);
      assert.match(set, /198\.51\.100\.2/);
    });
    reconfigure([one, two], { publicIP: null });
    for (const node of outer.keys())
      await sh(node, 'nft delete table ip outer; ip route del 198.51.100.0/24');
    await eventually(async () => assert.deepEqual(await announced(), own));
    await eventually(allReach);
  });
});
