import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import { replay } from '../../src/app/replay.ts';
import { mono, netnsInode } from '../../src/base/brand.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { decodeRecords, encodeRecord } from '../../src/recording/record-codec.ts';
import { readRecording } from '../../src/recording/file.ts';
import { fuzzBytes } from './fuzz.ts';

/* Records as a watch on 6.18 wrote them: samples, a call, an exec, counters, a conntrack table's datagrams, listings. */
const fixture = (name: string): URL => new URL(`../../fixtures/${name}`, import.meta.url);
const bpf = JSON.parse(readFileSync(fixture('bpf/records-6.18.json'), 'utf8')) as { drops: string[]; call: string; exec: string; counts: string; netns: number };
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const netns = netnsInode(bpf.netns);
const at = (ms: number): RawRecord['time'] => mono(BigInt(ms) * 1_000_000n);
const host: RawRecord = {
  record: 'host', time: at(1), kernel: '6.18.44', machine: 'x86_64', hostname: 'h', cpus: 2, bootId: 'b', realtimeOffset: 1795387740024500000n, dropReasons: [[2, 'NOT_SPECIFIED'], [12, 'NETFILTER_DROP']],
  syscalls: [[44, 'sendto']], formats: {}, netns: [{ inode: netns, name: 'blue' }], namespaces: 2, home: netns, netnsNames: [[netns, 'blue']],
};
const rest: readonly RawRecord[] = [
  { record: 'probe', time: at(2), id: 'drop-bpf' },
  { record: 'symbols', time: at(2), text: 'ffffffff81f2af50 0x120 T nf_hook_slow\nffffffff81f653d0 0xa00 T nft_do_chain\n' },
  { record: 'answer', time: at(3), question: { topic: 'proc', netns, argument: 'net/snmp' }, body: readFileSync(fixture('counters/6.18-snmp.txt'), 'utf8') },
  { record: 'answer', time: at(3), question: { topic: 'nft', netns }, body: { unavailable: 'timeout', what: 'running nft', why: 'no end within 3000 ms' } },
  ...bpf.drops.map((d): RawRecord => ({ record: 'drop-sample', time: at(4), bytes: bytes(d) })),
  { record: 'call', time: at(5), bytes: bytes(bpf.call) },
  { record: 'exec', time: at(5), bytes: bytes(bpf.exec) },
  { record: 'drop-counts', time: at(6), bytes: bytes(bpf.counts) },
  { record: 'netlink', time: at(6), netns, group: 'conntrack', bytes: readFileSync(fixture('conntrack/events-6.18.bin')).subarray(0, 400) },
  { record: 'missed', time: at(7), source: 'bpf-ring', count: 3, text: 'x' },
  { record: 'tick', time: at(8), last: true },
];

const ignoreSharing = (records: readonly RawRecord[]): unknown => structuredClone(records);

test('bytes of records: what is whole is given, nothing throws, and it replays to verdicts', () => {
  let replayed = 0;
  fuzzBytes({
    seeds: rest.map((r) => Uint8Array.from(encodeRecord(r))), rounds: 5000,
    decode: (input) => {
      const { records, status } = decodeRecords(input);
      assert.ok(records.length > 0 || status !== 'complete' || input.length === 0);
      const result = replay([host, ...records], { filter: { pids: [], protocols: [], ports: [], addresses: [] }, onlyCauses: [] });
      replayed += records.length;
      for (const incident of result?.incidents ?? []) assert.ok(Number.isFinite(incident.count));
      return [status, ignoreSharing(records)];
    },
  });
  assert.ok(replayed > 800, `only ${replayed} records survived: the fuzzer tests nothing`);
});

test('a host record that somebody made up is no crash', () => {
  fuzzBytes({
    seeds: [Uint8Array.from(encodeRecord(host))], rounds: 2000,
    decode: (input) => {
      const { records, status } = decodeRecords(input);
      replay([...records, ...rest], { filter: { pids: [], protocols: [], ports: [], addresses: [] }, onlyCauses: [] });
      return status;
    },
  });
});

test('files: damaged heads, chunks, checksums that are right over nonsense', () => {
  const file = (payload: Uint8Array): Uint8Array => {
    const deflated = deflateRawSync(payload, { level: 1 });
    const head = Buffer.alloc(18 + 4 + 8);
    head.write('whydrop recording\n', 'latin1');
    head.writeUInt32LE(1, 18);
    head.writeUInt32LE(deflated.length, 22);
    head.writeUInt32LE(crc32(deflated), 26);
    return Uint8Array.from(Buffer.concat([head, deflated]));
  };
  const whole = file(Buffer.concat([host, ...rest].map(encodeRecord)));
  assert.equal(readRecording(whole).status, 'complete');
  fuzzBytes({ seeds: [whole], rounds: 1500, decode: (input) => { const { records, status } = readRecording(input); return [status, ignoreSharing(records)]; } });
  // the checksum of nonsense is right too
  fuzzBytes({ seeds: rest.slice(0, 4).map((r) => Uint8Array.from(encodeRecord(r))), rounds: 800, decode: (input) => { const { records, status } = readRecording(file(input)); return [status, ignoreSharing(records)]; } });
});

test('a chunk that inflates without end is not inflated', () => {
  const bomb = deflateRawSync(Buffer.alloc(300 << 20), { level: 9 });
  const head = Buffer.alloc(30);
  head.write('whydrop recording\n', 'latin1');
  head.writeUInt32LE(1, 18);
  head.writeUInt32LE(bomb.length, 22);
  head.writeUInt32LE(crc32(bomb), 26);
  const { records, status } = readRecording(Buffer.concat([head, bomb]));
  assert.deepEqual([records.length, status], [0, 'damaged']);
});
