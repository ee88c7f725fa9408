import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import { digestOf } from '../../inet/digest.ts';

it("a digest is node's SHA-256, for texts of every length around a block", () => {
  for (let length = 0; length < 200; length++) {
    const text = 'weft-ü'.repeat(length).slice(0, length);
    assert.equal(digestOf(text).toString('hex'), createHash('sha256').update(text).digest('hex'));
  }
});
