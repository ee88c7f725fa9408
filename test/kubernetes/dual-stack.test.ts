/** A cluster with both families, kube-proxy in iptables mode. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../lab/ground.ts';
import { ClusterFixture, type ClusterPod, page } from './fixture.ts';
import { daemonSet, service } from './objects.ts';

describe('dual-stack cluster, kube-proxy in iptables mode', () => {
  let fixture: ClusterFixture;
  let web: ClusterPod[] = [];

  before(async () => {
    fixture = await ClusterFixture.raise('kube-dual', {
      nodes: 2,
      families: ['ipv4', 'ipv6'],
      proxyMode: 'iptables',
    });
    await fixture.applyWeft();
    const families = { ipFamilyPolicy: 'RequireDualStack' };
    await fixture.apply(
      daemonSet('web'),
      service('web', { ...families, type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }),
    );
    web = await fixture.rolledOut('daemonset', 'web');
  });
  after(() => fixture?.raze());

  it('pods: have an address of each podCIDR of their node, and reach each other over both families', async () => {
    for (const { node, addresses } of web) {
      const { spec } = await fixture.get<{ spec: { podCIDRs: string[] } }>('node', node.name);
      assert.equal(spec.podCIDRs.length, 2);
      assert.equal(addresses.length, 2);
    }
    for (const from of web) {
      for (const to of web) {
        for (const address of to.addresses) await from.ping(address);
      }
    }
  });

  it('ClusterIPs of both families: reach every pod', async () => {
    const { spec } = await fixture.get<{ spec: { clusterIPs: string[] } }>('service', 'web');
    assert.equal(spec.clusterIPs.length, 2);
    for (const address of spec.clusterIPs) {
      const names = new Set(web.map(({ name }) => name));
      await eventually(async () => {
        names.delete((await web[0]?.page(address)) ?? '');
        assert.deepEqual([...names], []);
      });
    }
  });

  it('NodePort: is answered on the IPv4 addresses of both nodes', async () => {
    for (const node of fixture.cluster.lab.nodes) {
      assert.match(await page(fixture.node('node-1'), node.addresses[0] ?? '', 30080), /^web-/);
    }
  });
});
