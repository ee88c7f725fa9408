import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import {
  cidr,
  containsCidr,
  containsIp,
  everything,
  firstIp,
  formatCidr,
  lastIp,
  nthIp,
  overlaps,
  parseCidr,
  parseInterfaceAddress,
  sameCidr,
  sizeOf,
} from '../../inet/cidr.ts';
import { addToIp, bytesOfIp, formatIp, ip, ipOfBytes, parseIp } from '../../inet/ip.ts';
import { bytesOfMac, formatMac, localUnicastMac, parseMac } from '../../inet/mac.ts';

describe('an address', () => {
  const canonical: [text: string, canonical: string][] = [
    ['10.244.1.0', '10.244.1.0'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fd00:10:244:1::17', 'fd00:10:244:1::17'],
    ['::ffff:10.244.1.2', '::ffff:af4:102'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ];
  for (const [text, expected] of canonical) {
    it(`${text} is written ${expected}, and survives its bytes`, () => {
      assert.equal(formatIp(ip(text)), expected);
      assert.deepEqual(ipOfBytes(bytesOfIp(ip(text))), ip(text));
    });
  }
  for (const text of ['', '10.244.1', '10.244.1.256', '010.1.1.1', 'fe80::1%eth0', '1:2', 'node-1']) {
    it(`${JSON.stringify(text)} is none`, () => {
      assert.equal(parseIp(text), undefined);
      assert.throws(() => ip(text), RangeError);
    });
  }
  it('is what node takes for one, but for zones', () => {
    const families = new Map([
      [4, 'ipv4'],
      [6, 'ipv6'],
    ]);
    const pieces = [
      '',
      '0',
      '1',
      '00',
      '255',
      '256',
      'ffff',
      'fffff',
      'g',
      ':',
      '::',
      '.',
      '1.2.3.4',
      '1:2:3:4:5:6',
      '%',
    ];
    const texts = pieces.flatMap((a) =>
      pieces.flatMap((b) => pieces.flatMap((c) => pieces.map((d) => a + b + c + d))),
    );
    for (const text of texts) {
      const family = text.includes('%') ? undefined : families.get(isIP(text));
      assert.equal(parseIp(text)?.family, family, text);
    }
  });
  it('stays inside its family', () => {
    assert.equal(formatIp(addToIp(ip('10.244.0.255'), 1)), '10.244.1.0');
    assert.throws(() => addToIp(ip('255.255.255.255'), 1), /outside ipv4/);
    assert.throws(() => addToIp(ip('::'), -1), /outside ipv6/);
  });
  it('has 4 or 16 bytes', () => assert.throws(() => ipOfBytes(Buffer.alloc(5)), RangeError));
});

describe('a prefix', () => {
  it('keeps no host bits, and refuses text that has them', () => {
    assert.equal(formatCidr(cidr('10.244.1.0/24')), '10.244.1.0/24');
    for (const text of ['10.244.1.5/24', '10.244.1.0', '10.244.1.0/33', '10.244.1.0/024', 'fd00::1/64']) {
      assert.equal(parseCidr(text), undefined, text);
    }
    assert.equal(parseInterfaceAddress('10.244.1.5/24')?.length, 24);
  });
  it('knows its ends and its size', () => {
    const subnet = cidr('10.244.1.0/24');
    assert.equal(formatIp(firstIp(subnet)), '10.244.1.0');
    assert.equal(formatIp(nthIp(subnet, 1)), '10.244.1.1');
    assert.equal(formatIp(lastIp(subnet)), '10.244.1.255');
    assert.equal(sizeOf(subnet), 256n);
    assert.equal(sizeOf(cidr('fd00::/64')), 1n << 64n);
  });
  const pairs: [a: string, b: string, overlap: boolean][] = [
    ['10.244.0.0/16', '10.244.1.0/24', true],
    ['10.244.1.0/24', '10.244.2.0/24', false],
    ['10.244.1.0/24', '10.244.1.0/24', true],
    ['0.0.0.0/0', 'fd00::/8', false],
    ['fd00:10:244::/48', 'fd00:10:244:7::/64', true],
  ];
  for (const [a, b, overlap] of pairs) {
    it(`${a} and ${b} ${overlap ? 'overlap' : 'do not overlap'}, whichever is asked first`, () => {
      assert.equal(overlaps(cidr(a), cidr(b)), overlap);
      assert.equal(overlaps(cidr(b), cidr(a)), overlap);
    });
  }
  it('contains its own, and nothing of the other family', () => {
    assert.ok(containsIp(cidr('10.244.1.0/24'), ip('10.244.1.255')));
    assert.ok(!containsIp(cidr('10.244.1.0/24'), ip('10.244.2.0')));
    assert.ok(!containsIp(everything('ipv4'), ip('::1')));
    assert.ok(containsCidr(cidr('10.244.0.0/16'), cidr('10.244.1.0/24')));
    assert.ok(!containsCidr(cidr('10.244.1.0/24'), cidr('10.244.0.0/16')));
    assert.ok(!sameCidr(cidr('10.244.0.0/16'), cidr('10.244.0.0/24')));
  });
});

describe('a MAC', () => {
  it('is lower case with colons', () => {
    assert.equal(parseMac('C6-D2-32-6F-8F-44'), 'c6:d2:32:6f:8f:44');
    assert.equal(formatMac(bytesOfMac('c6:d2:32:6f:8f:44')), 'c6:d2:32:6f:8f:44');
    for (const text of ['', 'c6:d2:32:6f:8f', 'c6:d2:32:6f:8f:44:00', 'g6:d2:32:6f:8f:44']) {
      assert.equal(parseMac(text), undefined, text);
    }
  });
  it('of our own making is unicast and locally administered', () => {
    assert.equal(localUnicastMac(Buffer.from('ffffffffffff', 'hex')), 'fe:ff:ff:ff:ff:ff');
    assert.equal(localUnicastMac(Buffer.from('010000000000', 'hex')), '02:00:00:00:00:00');
  });
});
