/** Network configurations, from text and from directories. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstNetwork, parseNetwork, readNetwork, readNetworks } from '../../../libcni/network.ts';
import { pluginDir } from './plugins.ts';

const list = (more: object = {}) => ({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'a' }], ...more });
const parse = (value: unknown) => parseNetwork(typeof value === 'string' ? value : JSON.stringify(value));

describe('a network', () => {
  it('is a chain of plugins, with the capabilities that each declares', () => {
    const plugins = [{ type: 'a', capabilities: { ips: true, mac: false } }, { type: 'b' }];
    const network = parse(list({ plugins }));
    assert.deepEqual(
      network.plugins.map(({ type, capabilities }) => [type, [...capabilities]]),
      [
        ['a', ['ips']],
        ['b', []],
      ],
    );
  });
  it('can be a single plugin', () => {
    const network = parse({ cniVersion: '0.3.1', name: 'net', type: 'a', bridge: 'br0' });
    assert.equal(network.plugins.length, 1);
    assert.equal(network.plugins[0]?.config.bridge, 'br0');
  });
  const versions: [config: object, version: string][] = [
    [{}, '1.0.0'],
    [{ cniVersions: ['1.0.0', '1.1.0'] }, '1.1.0'],
    [{ cniVersions: ['0.4.0', '9.0.0'] }, '1.0.0'],
    [{ cniVersion: undefined }, '0.1.0'],
    [{ cniVersion: undefined, cniVersions: ['0.4.0'] }, '0.4.0'],
  ];
  for (const [config, version] of versions) {
    it(`with ${JSON.stringify(config)} is spoken in ${version}`, () => {
      assert.equal(parse(list(config)).cniVersion, version);
    });
  }
  it('may say no to CHECK and GC, also in quotes', () => {
    const { disableCheck, disableGC } = parse(list({ disableCheck: 'TRUE', disableGC: true }));
    assert.deepEqual([disableCheck, disableGC], [true, true]);
  });
  const refused: [value: unknown, message: RegExp][] = [
    ['{', /not JSON/],
    ['[]', /not a JSON object/],
    [list({ name: '' }), /"name" is missing/],
    [list({ name: '../x' }), /invalid characters found in network name/],
    [list({ plugins: [] }), /no plugins/],
    [list({ plugins: {} }), /must be a list/],
    [list({ plugins: ['a'] }), /must be an object/],
    [list({ plugins: [{}] }), /no "type"/],
    [list({ plugins: [{ type: '../a' }] }), /is a path/],
    [list({ plugins: [{ type: 'a', capabilities: [] }] }), /"capabilities" of plugin a/],
    [list({ cniVersion: '2.0.0' }), /cniVersion \["2\.0\.0"\] is none of/],
    [list({ disableGC: 5 }), /"disableGC" must be true or false/],
  ];
  for (const [value, message] of refused) {
    it(`cannot be ${JSON.stringify(value)}`, () => assert.throws(() => parse(value), message));
  }
});

describe('a directory of networks', () => {
  it('gives its first file by name, whatever its kind', async (t) => {
    const dir = pluginDir(t, []);
    dir.file('net.d/20-b.conf', { cniVersion: '0.3.1', name: 'b', type: 'b' });
    dir.file('net.d/10-a.conflist', list({ name: 'a' }));
    dir.file('net.d/00-readme.txt', 'no network');
    const folder = `${dir.root}/net.d`;
    assert.equal((await firstNetwork(folder))?.name, 'a');
    assert.deepEqual(
      (await readNetworks(folder)).map((network) => network.name),
      ['a', 'b'],
    );
  });
  it('may be empty or absent', async (t) => {
    const dir = pluginDir(t, []);
    assert.equal(await firstNetwork(dir.bin), undefined);
    assert.equal(await firstNetwork(`${dir.root}/absent`), undefined);
  });
  it('names the file that is wrong', async (t) => {
    const file = pluginDir(t, []).file('net.d/10-a.conflist', '{"name":');
    await assert.rejects(readNetwork(file), /net\.d\/10-a\.conflist: not JSON/);
  });
  for (const loadOnlyInlinedPlugins of [false, true]) {
    it(`adds plugins that lie beside a list unless told not to (${loadOnlyInlinedPlugins})`, async (t) => {
      const dir = pluginDir(t, []);
      const file = dir.file('net.d/10-a.conflist', list({ loadOnlyInlinedPlugins }));
      dir.file('net.d/net/20-c.conf', { type: 'c' });
      dir.file('net.d/net/10-b.conf', { type: 'b' });
      assert.deepEqual(
        (await readNetwork(file)).plugins.map((plugin) => plugin.type),
        loadOnlyInlinedPlugins ? ['a'] : ['a', 'b', 'c'],
      );
    });
  }
});
