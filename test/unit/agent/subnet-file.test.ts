import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  formatSubnetFile,
  type SubnetFile,
  subnetFilePath,
  writeSubnetFile,
} from '../../../agent/subnet-file/subnet-file.ts';
import { cidr } from '../../../inet/cidr.ts';
import { folderOf } from './folder.ts';

const file = (networks: string[], subnets: string[], masquerade = true): SubnetFile => ({
  networks: networks.map(cidr),
  subnets: subnets.map(cidr),
  mtuBytes: 1450,
  masquerade,
});

const ipv4 = 'FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/24\n';
const ipv6 = 'FLANNEL_IPV6_NETWORK=2001:cafe:42::/56\nFLANNEL_IPV6_SUBNET=2001:cafe:42::1/64\n';

describe('subnet file', () => {
  const rows: [what: string, file: SubnetFile, text: string][] = [
    [
      'both families',
      file(['10.42.0.0/16', '2001:cafe:42::/56'], ['10.42.0.0/24', '2001:cafe:42::/64']),
      `${ipv4}${ipv6}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
    ],
    [
      'IPv4',
      file(['10.42.0.0/16'], ['10.42.0.0/24'], false),
      `${ipv4}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
    ],
    [
      'IPv6',
      file(['2001:cafe:42::/56'], ['2001:cafe:42::/64']),
      `${ipv6}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
    ],
  ];
  for (const [what, content, text] of rows) {
    it(`${what}: byte for byte as flannel writes it`, () => {
      assert.equal(formatSubnetFile(content), text);
    });
  }

  it('replaced: no other file is left beside it', (t) => {
    const runDir = join(folderOf(t), 'weft');
    for (const masquerade of [true, false]) {
      const content = file(['10.42.0.0/16'], ['10.42.0.0/24'], masquerade);
      writeSubnetFile(runDir, content);
      assert.equal(readFileSync(subnetFilePath(runDir), 'utf8'), formatSubnetFile(content));
    }
    assert.deepEqual(readdirSync(runDir), ['subnet.env']);
  });
});
