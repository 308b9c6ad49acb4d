import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mono, netnsInode } from '../../src/base/brand.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { createBlackBox } from '../../src/recording/black-box.ts';
import { createRecorder, readRecording } from '../../src/recording/file.ts';
import { thin } from '../../src/recording/thin.ts';
import { decodeRecords, encodeRecord } from '../../src/recording/record-codec.ts';

const RECORDS: readonly RawRecord[] = [
  { record: 'host', time: mono(1n), kernel: '6.18.44', machine: 'x86_64', hostname: 'h\u001b[2J', cpus: 2, bootId: 'b', realtimeOffset: 1795387740024500000n, dropReasons: [[2, 'NOT_SPECIFIED']], syscalls: [[44, 'sendto']], formats: {}, netns: [{ inode: netnsInode(4026531840) }], namespaces: 2, home: netnsInode(4026531840), netnsNames: [[netnsInode(7), 'blue']] },
  { record: 'drop-sample', time: mono(2n), bytes: new Uint8Array([0, 255, 10, 13]) },
  { record: 'answer', time: mono(9007199254740993n), question: { topic: 'nft', netns: netnsInode(7) }, body: '{"nftables": []}' },
  { record: 'answer', time: mono(4n), question: { topic: 'sockets', netns: netnsInode(7), argument: 'udp' }, body: Buffer.from([1, 2, 3]) },
  { record: 'answer', time: mono(5n), question: { topic: 'nft', netns: netnsInode(8) }, body: { unavailable: 'timeout', what: 'running nft', why: '3 s' } },
  { record: 'missed', time: mono(6n), source: 'bpf-ring', count: 3, text: 'x' },
  { record: 'tick', time: mono(7n) },
];
const plain = (records: readonly RawRecord[]) => records.map((r) => ('body' in r && r.body instanceof Uint8Array ? { ...r, body: [...r.body] } : r));

test('every kind of record comes back as it went in', () => {
  const bytes = Buffer.concat(RECORDS.map(encodeRecord));
  const { records, status } = decodeRecords(bytes);
  assert.equal(status, 'complete');
  assert.deepEqual(plain(records), plain(RECORDS));
});

test('a recording that was cut anywhere gives what was whole, and says so', () => {
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-recording-'));
  try {
    const path = join(dir, 'a.whydrop');
    const recorder = createRecorder(path);
    assert.ok(!isUnavailable(recorder));
    for (const record of RECORDS) {
      recorder.write(record);
      recorder.flush();
    }
    recorder.close();
    const whole = readRecording(readFileSync(path));
    assert.equal(whole.status, 'complete');
    assert.deepEqual(plain(whole.records), plain(RECORDS));
    truncateSync(path, statSync(path).size - 3);
    const cut = readRecording(readFileSync(path));
    assert.equal(cut.status, 'cut');
    assert.deepEqual(plain(cut.records), plain(RECORDS.slice(0, -1)));
    const damaged = readFileSync(path);
    damaged[40] = (damaged[40] ?? 0) ^ 0xff;
    assert.equal(readRecording(damaged).records.length, RECORDS.length - 2);
    assert.equal(readRecording(Buffer.from('something else entirely')).status, 'not-a-recording');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a recording kept within a size loses old samples, never counts', () => {
  const many: RawRecord[] = [];
  for (let i = 0; i < 4000; i++) many.push({ record: 'drop-sample', time: mono(BigInt(i)), bytes: new Uint8Array(500) });
  many.push({ record: 'drop-counts', time: mono(5000n), bytes: new Uint8Array(48) });
  const kept = thin(many, 500_000);
  assert.ok(kept.length < 1500, `${kept.length} kept`);
  assert.equal(kept.filter((r) => r.record === 'drop-counts').length, 1);
  const note = kept.at(-1);
  assert.ok(note?.record === 'missed' && note.count === many.length - (kept.length - 1));
  assert.ok(kept.some((r) => r.record === 'drop-sample' && r.time === 3999n), 'the newest stay');
});

test('the black box keeps the window, the host, the symbols, and of each question the last answer before the window', () => {
  const box = createBlackBox(10n);
  for (const record of RECORDS.slice(0, 3)) box.write({ ...record, time: mono(1n) });
  for (let i = 0; i < 5000; i++) box.write({ record: 'drop-sample', time: mono(BigInt(i)), bytes: new Uint8Array(1) });
  const kinds = box.records().map((r) => r.record);
  assert.ok(kinds.includes('host') && kinds.includes('answer'));
  assert.equal(kinds.filter((k) => k === 'drop-sample').length, 11);
  const asked = createBlackBox(10n);
  asked.write(RECORDS[0]!);
  asked.write({ record: 'symbols', time: mono(1n), text: 'ffff T f' });
  const answer = (time: bigint, body: string): RawRecord => ({ record: 'answer', time: mono(time), question: { topic: 'nft', netns: netnsInode(7) }, body });
  for (const [time, body] of [[1n, 'first'], [50n, 'rule added'], [95n, 'in the window']] as const) asked.write(answer(time, body));
  for (let i = 0; i < 2000; i++) asked.write({ record: 'drop-sample', time: mono(100n), bytes: new Uint8Array(1) });
  const kept = asked.records();
  assert.deepEqual(kept.flatMap((r) => (r.record === 'answer' ? [r.body] : [])), ['rule added', 'in the window'], 'what was true when the window began, not when the box was made');
  assert.ok(kept.some((r) => r.record === 'symbols'));
});

test('--max-size: the file stays below it and is readable at each moment, the drop counters stay whole', () => {
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-recording-'));
  try {
    const path = join(dir, 'a.whydrop');
    const limit = 400_000;
    const recorder = createRecorder(path, limit);
    assert.ok(!isUnavailable(recorder));
    recorder.write(RECORDS[0]!);
    const noise = (i: number, length: number): Uint8Array => {
      let x = i + 1; // xorshift32: does not pack
      return Uint8Array.from({ length }, () => ((x ^= x << 13, x ^= x >>> 17, x ^= x << 5) >>> 8) & 0xff);
    };
    let largest = 0;
    let thinnings = 0;
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 50; i++) recorder.write({ record: 'drop-sample', time: mono(BigInt(second * 100 + i + 10)), bytes: noise(second * 50 + i, 700) });
      recorder.write({ record: 'drop-counts', time: mono(BigInt(second * 100 + 99)), bytes: noise(second, 48) });
      const before = recorder.bytesWritten;
      recorder.flush();
      if (recorder.bytesWritten < before) thinnings += 1;
      largest = Math.max(largest, statSync(path).size);
    }
    recorder.close();
    assert.ok(thinnings >= 2 && thinnings < 20, `thinned ${thinnings} times`);
    assert.ok(largest <= limit, `${largest} bytes`);
    const { records, status } = readRecording(readFileSync(path));
    assert.equal(status, 'complete');
    assert.deepEqual(records.find((r) => r.record === 'drop-counts' && r.time === 5999n), { record: 'drop-counts', time: 5999n, bytes: noise(59, 48) });
    const samples = records.filter((r) => r.record === 'drop-sample').length;
    const missed = records.reduce((n, r) => (r.record === 'missed' && r.source === 'recording' ? n + r.count : n), 0);
    assert.equal(samples + missed, 3000, 'what was left out is said');
    assert.ok(statSync(path).size > limit / 8, 'no more than need be');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a thinned recording is many chunks: none is larger than a reader takes, and one that is damaged is not all of it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-recording-'));
  try {
    const path = join(dir, 'a.whydrop');
    const recorder = createRecorder(path, 30_000);
    assert.ok(!isUnavailable(recorder));
    recorder.write(RECORDS[0]!);
    for (let i = 0; i < 40_000; i++) recorder.write({ record: 'drop-sample', time: mono(BigInt(i)), bytes: new Uint8Array(600) });
    recorder.close();
    const bytes = readFileSync(path);
    const first = bytes.readUInt32LE(22);
    bytes[22 + 8 + first + 8 + 4] = (bytes[22 + 8 + first + 8 + 4] ?? 0) ^ 0xff;
    const { records, status } = readRecording(bytes);
    assert.equal(status, 'damaged');
    assert.ok(records.some((r) => r.record === 'host') && records.some((r) => r.record === 'drop-sample'));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('where nothing can be written, that is a value', () => {
  const full = createRecorder('/dev/full');
  assert.ok(isUnavailable(full));
  assert.deepEqual([full.what, full.why], ['creating /dev/full', 'ENOSPC']);
  assert.match(full.fix ?? '', /make room/);
});
