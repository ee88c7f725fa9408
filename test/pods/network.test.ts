/** Pod network, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { container, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('pod network', () => {
  const fixture = podsFixture('network');

  it('two pods on two nodes: reach each other; applied again: unchanged', async () => {
    const two = manifest('a', { containers: [container('main'), container('side')] });
    assert.match(await fixture.near.apply(two), /pod a created[\s\S]*pod a: Running 10\.244\./);
    await fixture.far.apply(manifest('b'));
    const [a, b] = [await fixture.near.see('a'), await fixture.far.see('b')];
    const ping = await fixture.near.exec('a', 'ping', '-c', '1', '-W', '5', b?.addresses[0] ?? '');
    assert.equal(ping.status, 0, ping.stdout + ping.stderr);
    assert.equal(await fixture.near.apply(two), 'pod a unchanged\n');
    assert.deepEqual(await fixture.near.see('a'), a);
  });

  it('containers of a pod: share one network, one address, resolv.conf and hosts', async () => {
    const env = [
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'URL', value: 'http://$(IP)/' },
    ];
    const web = shell('web', 'echo here >/www/index.html; httpd -f -h /www -p 80');
    const main = container('main', { env });
    const dns = {
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['10.0.0.53'], searches: ['a.b'], options: [{ name: 'ndots', value: '2' }] },
    };
    await fixture.near.apply(manifest('one', { containers: [main, web], hostname: 'host-1', ...dns }));
    const address = (await fixture.near.see('one'))?.addresses[0] ?? '';
    const seen = await fixture.near.exec(
      'one',
      'sh',
      '-c',
      'echo $URL; cat /etc/resolv.conf /etc/hosts; wget -qO- localhost',
    );
    assert.match(
      seen.stdout,
      new RegExp(`^http://${address}/\nnameserver 10.0.0.53\nsearch a.b\noptions ndots:2\n`),
    );
    assert.match(seen.stdout, new RegExp(`^${address}\thost-1$`, 'm'));
    assert.match(seen.stdout, /^here$/m);
  });

  it('hostPort and bandwidth: published and shaped', async () => {
    const web = shell('main', 'httpd -f -h /etc -p 80', { ports: [{ containerPort: 80, hostPort: 8085 }] });
    const annotations = { 'kubernetes.io/egress-bandwidth': '10M' };
    await fixture.near.apply(manifest('web', { containers: [web] }, { annotations }));
    const [address = ''] = fixture.near.node.addresses;
    assert.match(await fixture.ground.page(fixture.far.node, address, 8085), /^root:/m);
    const [record = ''] = readdirSync(fixture.near.node.path('/run/weft/attachments'));
    const text = readFileSync(fixture.near.node.path(`/run/weft/attachments/${record}`), 'utf8');
    assert.match(text, /"bitsPerSecond":10000000/);
  });
});
