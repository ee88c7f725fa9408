/** A packet of the overlay made by hand is what the VXLAN device would have made. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encapsulate, innerHeaderBytes } from '../../../agent/probe/encapsulate.ts';
import { ip } from '../../../inet/ip.ts';

const end = (n: number, address: string) => ({
  mac: `02:00:00:00:00:0${n}`,
  address: ip(address),
  port: 8474,
});

/** RFC 1071, by the book: of what carries its own checksum the sum is all ones. */
function sum(bytes: Buffer): number {
  const even = bytes.length % 2 ? Buffer.concat([bytes, Buffer.alloc(1)]) : bytes;
  let total = 0;
  for (let i = 0; i < even.length; i += 2) total += even.readUInt16BE(i);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const families = {
  ipv4: { from: '10.244.1.0', to: '10.244.2.0', ethertype: '0800' },
  ipv6: { from: 'fd00:10:244:1::', to: 'fd00:10:244:2::', ethertype: '86dd' },
} as const;

for (const [family, { from, to, ethertype }] of Object.entries(families)) {
  describe(`a probe of the path in ${family}`, () => {
    for (const payload of [Buffer.from('odd'), Buffer.from('even'), Buffer.alloc(1400, 7), Buffer.alloc(0)]) {
      const bytes = encapsulate({ vni: 0x123456, from: end(1, from), to: end(2, to), payload });
      const inner = bytes.subarray(22);
      const headerBytes = innerHeaderBytes({ address: ip(to) });

      it(`of ${payload.length} bytes has the headers of VXLAN, Ethernet, IP and UDP`, () => {
        assert.equal(bytes.toString('hex', 0, 8), '0800000012345600');
        assert.equal(bytes.toString('hex', 8, 20), '020000000002020000000001');
        assert.equal(bytes.toString('hex', 20, 22), ethertype);
        assert.equal(inner.length, headerBytes + payload.length);
        assert.deepEqual(inner.subarray(headerBytes), payload);
        const udp = inner.subarray(headerBytes - 8);
        assert.deepEqual(
          [udp.readUInt16BE(0), udp.readUInt16BE(2), udp.readUInt16BE(4)],
          [8474, 8474, udp.length],
        );
        const lengthField = family === 'ipv4' ? inner.readUInt16BE(2) : inner.readUInt16BE(4) + 40;
        assert.equal(lengthField, inner.length);
      });

      it(`of ${payload.length} bytes has checksums that hold`, () => {
        const header = inner.subarray(0, headerBytes - 8);
        if (family === 'ipv4') assert.equal(sum(header), 0xffff);
        const udp = inner.subarray(headerBytes - 8);
        const pseudo = Buffer.alloc(8);
        pseudo.writeUInt32BE(udp.length, 0);
        pseudo[7] = 17;
        const addresses = family === 'ipv4' ? header.subarray(12, 20) : header.subarray(8, 40);
        assert.equal(sum(Buffer.concat([addresses, pseudo, udp])), 0xffff);
      });
    }
  });
}
