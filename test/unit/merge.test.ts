import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { merge } from '../../src/app/merge.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const open = (name: string) => ({ name, records: readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records });
/** The same recording as another host would have made it: booted later, wall clock the same. */
const elsewhere = (records: readonly RawRecord[], later: bigint): readonly RawRecord[] =>
  records.map((r) => (r.record === 'host' ? { ...r, hostname: 'other', bootId: 'another boot', realtimeOffset: r.realtimeOffset + later } : r));

test('two hosts on one clock: each keeps its verdicts, at its wall times', () => {
  const a = open('rcvbuf-full'), b = open('no-listener');
  const { records, hosts } = merge([a, { name: 'b', records: elsewhere(b.records, 3_600_000_000_000n) }]);
  assert.equal(hosts[1]?.shift, 3_600_000_000_000n + hostOf(b.records).realtimeOffset - hostOf(a.records).realtimeOffset);
  const one = judged(a.records, ALL).exported, two = judged(b.records, ALL).exported;
  const both = judged(records, ALL).exported;
  const count = (e: typeof one, cause: string): number | undefined => e.incidents.find((i) => i.cause.id === cause)?.count;
  assert.equal(count(both, 'socket.rcvbuf-full'), count(one, 'socket.rcvbuf-full'));
  assert.equal(count(both, 'socket.no-listener'), count(two, 'socket.no-listener'));
  const wall = both.incidents.find((i) => i.cause.id === 'socket.no-listener')!;
  assert.equal(Date.parse(wall.first) - Date.parse(two.incidents.find((i) => i.cause.id === 'socket.no-listener')!.first), 3_600_000, 'its wall clock was an hour ahead');
  assert.match(wall.where.netns.name ?? '', /^other:wdxb$/);
  const times = records.map((r) => r.time);
  assert.deepEqual(times, times.toSorted((x, y) => (x < y ? -1 : x > y ? 1 : 0)));
});

test('namespaces whose numbers meet are told apart', () => {
  const a = open('no-listener');
  const { records, hosts } = merge([a, { name: 'b', records: elsewhere(a.records, 0n) }]);
  assert.ok(hosts[1]!.renumbered > 0);
  const both = judged(records, ALL).exported.incidents.filter((i) => i.cause.id === 'socket.no-listener');
  assert.equal(both.length, 2);
  assert.equal(new Set(both.map((i) => i.where.netns.inode)).size, 2);
  assert.deepEqual(both.map((i) => i.count), [20, 20]);
});

test('kernels whose numbers differ are not joined', () => {
  const a = open('no-listener');
  const other = elsewhere(a.records, 0n).map((r) => (r.record === 'host' ? { ...r, kernel: '5.15.0' } : r));
  assert.throws(() => merge([a, { name: 'b', records: other }]), /drop reasons have different numbers/);
  assert.throws(() => merge([a]), /two recordings/);
});

const hostOf = (records: readonly RawRecord[]) => records.find((r) => r.record === 'host')!;
