/** From what a runtime asks for to a token bucket. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bucketOf, sameBucket } from '../../plugin/attach/bandwidth/bucket.ts';

const containerd = 0xffff_ffff;

describe('a token bucket', () => {
  it('lets IP packets through at the rate, with their Ethernet headers on top', () => {
    const { bytesPerSecond } = bucketOf({ bitsPerSecond: 8_000_000, burstBits: containerd }, 1450);
    assert.equal(Math.round((bytesPerSecond * 1450) / 1464), 1_000_000);
  });

  for (const bitsPerSecond of [1e6, 1e7, 1e8, 1e9, 1e10, 1e11]) {
    it(`never holds more than a fraction of a second at ${bitsPerSecond} bits/s, whatever the runtime’s burst`, () => {
      const bucket = bucketOf({ bitsPerSecond, burstBits: containerd }, 1450);
      assert.ok(bucket.burstBytes / bucket.bytesPerSecond < 0.2);
      assert.ok(bucket.queueBytes / bucket.bytesPerSecond < 0.5);
    });
  }

  it('has the burst that was asked for, within reason', () => {
    const of = (burstBits: number) => bucketOf({ bitsPerSecond: 8e6, burstBits }, 1450).burstBytes;
    assert.equal(of(8e6), 1e6);
    assert.ok(of(8) > 10 * 1450);
    assert.equal(of(0x7fff_ffff), of(8));
  });

  it('takes any packet of the link', () => {
    const { burstBytes, queueBytes } = bucketOf({ bitsPerSecond: 8, burstBits: 8 }, 65_000);
    assert.ok(burstBytes > 65_014);
    assert.ok(queueBytes > 65_014);
  });

  it('is the same but for the kernel’s rounding', () => {
    const bucket = bucketOf({ bitsPerSecond: 1e6, burstBits: containerd }, 1450);
    assert.ok(sameBucket(bucket, { ...bucket, burstBytes: bucket.burstBytes - 2 }));
    assert.ok(!sameBucket(bucket, { ...bucket, bytesPerSecond: bucket.bytesPerSecond + 1 }));
    assert.ok(!sameBucket(bucket, { ...bucket, burstBytes: bucket.burstBytes * 2 }));
  });
});
