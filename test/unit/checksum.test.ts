import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum, fold, onesSum, sameChecksum } from '../../src/formats/checksum.ts';

test('the sums of RFC 1071, section 3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(onesSum(bytes, 0, 8), 0xddf2);
  assert.equal(onesSum(bytes, 0, 7), fold(0x0001 + 0xf203 + 0xf4f5 + 0xf600), 'an odd last byte is a high half');
  assert.equal(onesSum(bytes, 0, 800), 0xddf2, 'the end is the bytes\' own');
});

test('a header that was sent is found right, and any changed bit wrong', () => {
  const header = Uint8Array.from(Buffer.from('450000543b564000400100000a0700010a070002', 'hex'));
  const computed = checksum(header, 0, 20, 10);
  header[10] = computed >> 8;
  header[11] = computed & 0xff;
  assert.equal(onesSum(header, 0, 20), 0xffff);
  assert.equal(checksum(header, 0, 20, 10), computed, 'the field itself does not count');
  for (let bit = 0; bit < 160; bit++) {
    if (bit >= 80 && bit < 96) continue;
    const broken = Uint8Array.from(header);
    broken[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok(!sameChecksum(checksum(broken, 0, 20, 10), computed), `bit ${bit}`);
  }
  assert.ok(sameChecksum(0, 0xffff) && !sameChecksum(1, 0xffff));
});
