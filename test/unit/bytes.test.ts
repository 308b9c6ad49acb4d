import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cursor, cString, mac, slice, u16be, u16le, u32be, u32le, u64be, u64le } from '../../src/base/bytes.ts';

const bytes = Uint8Array.of(0x81, 2, 3, 4, 5, 6, 7, 8);

test('integers in both orders, and undefined where they are not wholly there', () => {
  assert.equal(u16be(bytes, 0), 0x8102);
  assert.equal(u16le(bytes, 0), 0x0281);
  assert.equal(u32be(bytes, 0), 0x81020304);
  assert.equal(u32le(bytes, 4), 0x08070605);
  assert.equal(u64be(bytes, 0), 0x8102030405060708n);
  assert.equal(u64le(bytes, 0), 0x0807060504030281n);
  for (const at of [-1, 7, 8, 100]) assert.equal(u16be(bytes, at), undefined, `u16be at ${at}`);
  for (const at of [-1, 5]) assert.equal(u32le(bytes, at), undefined, `u32le at ${at}`);
  for (const at of [-8, 1]) assert.equal(u64le(bytes, at), undefined, `u64le at ${at}`);
});

test('a slice never leaves the bytes', () => {
  assert.deepEqual([...slice(bytes, 6, 100)], [7, 8]);
  assert.deepEqual([...slice(bytes, -5, 1)], [0x81]);
  assert.equal(slice(bytes, 9).length, 0);
  assert.equal(slice(bytes, 5, 2).length, 0);
});

test('text of a fixed field ends at its first NUL or at the end', () => {
  const comm = Buffer.from('openvpn\0garbage\0');
  assert.equal(cString(comm, 0, 16), 'openvpn');
  assert.equal(cString(comm, 0, 4), 'open');
  assert.equal(cString(comm, 8), 'garbage');
  assert.equal(cString(comm, 99, 4), '');
  assert.equal(mac(bytes, 0), '81:02:03:04:05:06');
  assert.equal(mac(bytes, 3), undefined);
});

test('a cursor reads on, aligns, and raises short at the end instead of throwing', () => {
  const c = new Cursor(bytes);
  assert.equal(c.u8(), 0x81);
  assert.equal(c.u16be(), 0x0203);
  c.align(4);
  assert.equal(c.at, 4);
  assert.equal(c.u32(), 0x08070605);
  assert.equal(c.short, false);
  assert.equal(c.u8(), 0);
  assert.equal(c.short, true);
  const d = new Cursor(bytes, 6);
  assert.equal(d.u64(), 0n);
  assert.deepEqual([d.short, d.left], [true, 0]);
  const e = new Cursor(bytes.subarray(2, 6), 0, false);
  assert.equal(e.u32(), 0x03040506, 'a view within a larger buffer');
  assert.equal(e.take(5).length, 0);
  const f = new Cursor(bytes, 0);
  f.skip(-1);
  assert.equal(f.short, true);
});
