/** flannel's net-conf.json, and the ConfigMap volume that it comes in. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configSource, loadConfig } from '../../../agent/config/load.ts';
import { followVolume } from '../../../agent/config/volume.ts';
import { formatCidr } from '../../../inet/cidr.ts';
import { folderOf } from '../agent/folder.ts';

const read = (folder: string) => loadConfig({ path: join(folder, 'weft.yaml'), named: false });

test("net-conf.json where there is no weft.yaml: flannel's network and backend, store kubernetes", (t) => {
  const folder = folderOf(t);
  const netConf = {
    Network: '10.42.0.0/16',
    EnableNFTables: true,
    Backend: { Type: 'vxlan', VNI: 7, MTU: 9000 },
  };
  writeFileSync(join(folder, 'net-conf.json'), JSON.stringify(netConf));
  const { config, path } = read(folder);
  assert.equal(path, join(folder, 'net-conf.json'));
  assert.deepEqual(
    config.networks.map(({ cidr }) => formatCidr(cidr)),
    ['10.42.0.0/16'],
  );
  assert.deepEqual(config.backend, { type: 'vxlan', vni: 7, port: 8472, mtu: 8950 });
  assert.equal(config.store.type, 'kubernetes');
  writeFileSync(join(folder, 'weft.yaml'), '');
  assert.equal(read(folder).config.store.type, 'file');
});

test('net-conf.json with DirectRouting, host-gw or both families: the types that mean the same', (t) => {
  const folder = folderOf(t);
  const rows: readonly (readonly [object, string, number])[] = [
    [{ Network: '10.42.0.0/16', Backend: { Type: 'vxlan', DirectRouting: true } }, 'auto', 1],
    [{ Network: '10.42.0.0/16', Backend: { Type: 'host-gw' } }, 'direct', 1],
    [{ Network: '10.42.0.0/16', EnableIPv6: true, IPv6Network: 'fd00:42::/56' }, 'vxlan', 2],
    [{ EnableIPv4: false, EnableIPv6: true, IPv6Network: 'fd00:42::/56' }, 'vxlan', 1],
  ];
  for (const [netConf, type, networks] of rows) {
    writeFileSync(join(folder, 'net-conf.json'), JSON.stringify(netConf));
    const { config } = read(folder);
    assert.equal(config.backend.type, type);
    assert.equal(config.networks.length, networks);
  }
});

test('net-conf.json with a backend that weft does not have, or that is no JSON: refused with its path', (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'net-conf.json');
  for (const [text, words] of [
    [
      '{"Network":"10.42.0.0/16","Backend":{"Type":"wireguard"}}',
      /unsupported Backend.Type "wireguard"; supported: vxlan, host-gw/,
    ],
    ['{"Network":"10.42"}', /Network is not an IPv4 network/],
    ['network: 10.42.0.0/16', /not a JSON object/],
  ] as const) {
    writeFileSync(path, text);
    assert.throws(
      () => loadConfig(configSource({ flag: path, env: {} })),
      (error: Error) => {
        assert.match(error.message, words);
        assert.match(error.message, /net-conf\.json/);
        return true;
      },
    );
  }
});

test('ConfigMap volume that the kubelet replaces: heard once for each content; a plain folder is not followed', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'weft.yaml');
  const stop = new AbortController();
  t.after(() => stop.abort());
  const options = { onError: (error: Error) => assert.fail(error), signal: stop.signal };
  assert.equal(followVolume(path, { ...options, onChange: () => assert.fail('followed') }), false);
  // As the kubelet writes it (pkg/volume/util/atomic_writer.go).
  const place = (name: string): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'weft.yaml'), `# ${name}\n`);
    symlinkSync(name, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  place('..one');
  symlinkSync('..data/weft.yaml', path);
  const changed: Promise<void> = new Promise((resolve) => {
    assert.equal(followVolume(path, { ...options, onChange: resolve }), true);
  });
  place('..two');
  await changed;
});
