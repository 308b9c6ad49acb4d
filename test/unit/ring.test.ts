import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ringOver } from '../../src/sources/sys/bpf.ts';

const PAGE = 4096, SIZE = 4096;
const BUSY = 0x80000000, DISCARD = 0x40000000;

/** A ring buffer in plain memory, written as the kernel does (kernel/bpf/ringbuf.c). */
function made() {
  const consumer = new ArrayBuffer(PAGE), producer = new ArrayBuffer(PAGE + SIZE);
  const words = new DataView(producer);
  const position = new BigUint64Array(producer, 0, 1);
  const unmap = (): void => {};
  return {
    ring: ringOver({ view: consumer, unmap }, { view: producer, unmap }, SIZE, PAGE),
    write: (length: number, fill: number, flags = 0): void => {
      const at = Number(position[0]);
      words.setUint32(PAGE + (at % SIZE), (length | flags) >>> 0, true);
      for (let i = 0; i < length; i++) words.setUint8(PAGE + ((at + 8 + i) % SIZE), (fill + i) & 0xff);
      position[0] = BigInt(at + ((length + 8 + 7) & ~7));
    },
    finish: (at: number, length: number): void => words.setUint32(PAGE + (at % SIZE), length, true),
  };
}

test('records come whole, also the one that goes on at the start of the ring', () => {
  const { ring, write } = made();
  const got: Uint8Array[] = [];
  const drain = (limit = 100): number => ring.drain(limit, (bytes) => got.push(Uint8Array.from(bytes)));
  let written = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 5; i++) write(100 + ((round * 7 + i * 13) % 400), written++);
    assert.equal(drain(), 5);
  }
  assert.equal(got.length, written);
  got.forEach((bytes, n) => {
    assert.equal(bytes.length, 100 + ((Math.floor(n / 5) * 7 + (n % 5) * 13) % 400));
    assert.ok(bytes.every((b, i) => b === ((n + i) & 0xff)), `record ${n}`);
  });
});

test('what is discarded is left out, what is not done is waited for, no more than asked for is given', () => {
  const { ring, write, finish } = made();
  const got: number[] = [];
  const drain = (limit = 100): number => ring.drain(limit, (bytes) => got.push(bytes[0]!));
  write(16, 1);
  write(16, 2, DISCARD);
  write(16, 3);
  write(16, 4, BUSY);
  write(16, 5);
  assert.equal(drain(1), 1);
  assert.equal(drain(), 1);
  assert.deepEqual(got, [1, 3]);
  finish(3 * 24, 16);
  assert.equal(drain(), 2);
  assert.deepEqual(got, [1, 3, 4, 5]);
});
