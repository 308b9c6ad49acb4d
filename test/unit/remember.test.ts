import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { forEach, remember, rememberText } from '../../src/base/remember.ts';
import { parseInet, ipv4Text, ipv6Text } from '../../src/base/inet.ts';
import { mac } from '../../src/base/bytes.ts';

test('what is remembered is what would be made, whatever came before, clashes included', () => {
  const words = (v: DataView, at: number, n: number): string => Array.from({ length: n }, (_, i) => (at + 4 * i + 4 <= v.byteLength ? v.getUint32(at + 4 * i, true) : -1)).join();
  const read = remember(20, 64, words);
  const text = rememberText(4, 256, (b, at) => b.subarray(at, at + 4).join());
  // few values and many spans: hits, clashes, spans that differ in one word, lengths that differ
  fc.assert(fc.property(fc.uint8Array({ minLength: 200, maxLength: 200, max: 2 }), fc.array(fc.tuple(fc.nat(199), fc.nat(24)), { minLength: 20, maxLength: 60 }), (bytes, spans) => {
    const v = new DataView(bytes.buffer);
    for (const [at, n] of spans) {
      assert.equal(read(v, at, n), words(v, at, n));
      assert.equal(text(bytes, at), at + 4 > bytes.length ? undefined : bytes.subarray(at, at + 4).join());
    }
  }), { seed: 7, numRuns: 300 });
});

test('the same words give the same object; what is decoded again is decoded once', () => {
  let made = 0;
  const read = remember(4, 64, (v, at) => ({ made: ++made, word: v.getUint32(at, true) }));
  const v = new DataView(Uint8Array.from([1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]).buffer);
  assert.equal(read(v, 0, 1), read(v, 4, 1));
  assert.notEqual(read(v, 0, 1), read(v, 8, 1));
  assert.equal(made, 2);
  const of = forEach((key: object) => ({ key }));
  const a = {}, b = {};
  const first = of(a);
  assert.equal(of(b).key, b);
  assert.equal(of(a), first);
});

test('addresses as text, thousands of them, back to their bytes', () => {
  for (let i = 0; i < 5000; i++) {
    const v4 = Uint8Array.from([10, i >> 8, i & 255, (i * 7) & 255]);
    assert.deepEqual(parseInet(ipv4Text(v4)!)?.bytes, v4);
    const v6 = Uint8Array.from({ length: 16 }, (_, k) => (k < 2 ? 0xfd : k % 5 === 0 ? (i >> (k & 7)) & 255 : 0));
    assert.deepEqual(parseInet(ipv6Text(v6)!)?.bytes, v6);
    assert.equal(mac(Uint8Array.from([2, 0, 0, i >> 8, i & 255, 1]), 0), `02:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}:01`);
  }
  assert.equal(ipv4Text(new Uint8Array(3)), undefined);
  assert.equal(ipv6Text(new Uint8Array(20), 5), undefined);
  assert.equal(ipv4Text(new Uint8Array(8), -1), undefined);
});
