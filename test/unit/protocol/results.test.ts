/** Results in every version, and back. The shapes are those that the reference plugins print. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeResult } from '../../../plugin/protocol/result-decode.ts';
import { encodeResult } from '../../../plugin/protocol/result-encode.ts';
import { atLeast, type CniVersion, cniVersions } from '../../../plugin/protocol/version.ts';
import { invoke, made, netns } from './plugin.ts';

const since = (version: CniVersion) => cniVersions.filter((each) => atLeast(each, version));
const before = (version: CniVersion) => cniVersions.filter((each) => !atLeast(each, version));

/** What survives a version, compared as JSON: undefined is absent. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, bigintAsText));
const bigintAsText = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

describe('a result', () => {
  for (const cniVersion of before('0.3.0')) {
    it(`in ${cniVersion} has one address of each family, with its routes, and dns`, async () => {
      const { output } = await invoke({ verb: 'ADD', config: { cniVersion } });
      assert.deepEqual(output, {
        cniVersion,
        ip4: {
          ip: '10.244.1.5/24',
          gateway: '10.244.1.1',
          routes: [{ dst: '0.0.0.0/0', gw: '10.244.1.1' }],
        },
        ip6: { ip: 'fd00:1::5/64', gateway: 'fd00:1::1', routes: [{ dst: '::/0', gw: 'fd00:1::1' }] },
        dns: {},
      });
    });
  }
  for (const cniVersion of since('0.3.0')) {
    const extended = atLeast(cniVersion, '1.1.0');
    const old = !atLeast(cniVersion, '1.0.0');
    it(`in ${cniVersion} ${extended ? 'has' : 'has no'} mtu and ${old ? 'has' : 'has no'} version of addresses`, async () => {
      const { output } = await invoke({ verb: 'ADD', config: { cniVersion } });
      const mtu = extended ? { mtu: 1450 } : {};
      assert.deepEqual(output, {
        cniVersion,
        interfaces: [
          { name: 'cni0', mac: '0a:58:0a:f4:01:01', ...mtu },
          { name: 'veth1', mac: '0a:58:0a:f4:01:02', ...mtu },
          { name: 'eth0', mac: '0a:58:0a:f4:01:05', ...mtu, sandbox: netns },
        ],
        ips: [
          {
            ...(old && { version: '4' }),
            interface: 2,
            address: '10.244.1.5/24',
            gateway: '10.244.1.1',
          },
          { ...(old && { version: '6' }), interface: 2, address: 'fd00:1::5/64', gateway: 'fd00:1::1' },
        ],
        routes: [
          { dst: '0.0.0.0/0', gw: '10.244.1.1', ...mtu },
          { dst: '::/0', gw: 'fd00:1::1' },
        ],
        ...(old && { dns: {} }),
      });
    });
    it(`in ${cniVersion} leaves out what is empty, but not interface 0`, () => {
      const [address] = made.ips;
      assert.ok(address);
      const encoded = encodeResult(
        { interfaces: [], ips: [{ address: address.address, interface: 0 }], routes: [] },
        cniVersion,
      );
      const version = old ? { version: '4' } : {};
      assert.deepEqual(plain(encoded), {
        cniVersion,
        ips: [{ ...version, interface: 0, address: '10.244.1.5/24' }],
        ...(old && { dns: {} }),
      });
    });
    it(`in ${cniVersion} can be of layer 2 alone`, () => {
      const encoded = encodeResult({ ...made, ips: [], routes: [] }, cniVersion);
      assert.deepEqual(
        ['interfaces' in encoded, 'ips' in encoded, 'routes' in encoded],
        [true, false, false],
      );
    });
  }
  for (const cniVersion of cniVersions) {
    it(`in ${cniVersion} carries dns if there is any`, () => {
      const dns = { nameservers: ['10.0.0.53'], domain: 'cluster.local', search: ['a.b'], options: ['x'] };
      assert.deepEqual(plain(encodeResult({ ...made, dns }, cniVersion).dns), dns);
    });
    it(`in ${cniVersion} is understood, and written again as it was`, () => {
      const written = plain(encodeResult(made, cniVersion));
      const again = encodeResult(decodeResult(written, 'prevResult'), cniVersion);
      assert.deepEqual(plain(again), written);
    });
  }
  it('is whole after having been written and read in the newest version', () => {
    const extended = {
      ...made,
      interfaces: [{ name: 'vf0', socketPath: '/run/x.sock', pciId: '0000:00:1f.6', sandbox: netns }],
      routes: [{ ...made.routes[0], advmss: 1400, priority: 10, table: 0, scope: 253 }],
    };
    const [route] = extended.routes;
    assert.ok(route?.dst);
    const result = { ...extended, routes: [{ ...route, dst: route.dst }] };
    const written = plain(encodeResult(result, '1.1.0'));
    assert.deepEqual(plain(decodeResult(written, 'prevResult')), plain(result));
  });
  it('of the old shape is read as the new one', () => {
    const old = { ip4: { ip: '10.1.0.5/16', gateway: '10.1.0.1', routes: [{ dst: '10.9.0.1/8' }] } };
    assert.deepEqual(plain(encodeResult(decodeResult(old, 'prevResult'), '1.0.0')), {
      cniVersion: '1.0.0',
      ips: [{ address: '10.1.0.5/16', gateway: '10.1.0.1' }],
      routes: [{ dst: '10.0.0.0/8' }],
    });
  });
  for (const bad of [
    'text',
    [],
    { interfaces: {} },
    { ips: ['10.0.0.1/8'] },
    { ips: [{}] },
    { ips: [{ address: '10.0.0.1' }] },
    { ips: [{ address: '10.0.0.1/8', interface: -1 }] },
    { ips: [{ address: '10.0.0.1/8', gateway: 'gw' }] },
    { routes: [{ gw: '10.0.0.1' }] },
    { ip4: 'x' },
  ]) {
    it(`cannot be ${JSON.stringify(bad)}`, () => {
      assert.throws(() => decodeResult(bad, 'prevResult'), { name: 'CniError', message: /^prevResult/ });
    });
  }
});
