import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { mono, netnsInode } from '../../src/base/brand.ts';
import { CALL, kindWord, RECORD_KIND } from '../../src/bpf/layout.ts';
import { judged } from '../../src/app/judged.ts';
import { merge } from '../../src/app/merge.ts';
import { moved, relocated } from '../../src/app/moved-record.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { redactedForSharing } from '../../src/app/redact.ts';
import { readRecording } from '../../src/recording/file.ts';
import { holdsTo, recorded } from '../two-clocks.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const open = (name: string) => ({ name, records: readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records });
/** The same recording as another host would have made it: booted later, wall clock the same. */
const elsewhere = (records: readonly RawRecord[], later: bigint): readonly RawRecord[] =>
  records.map((r) => (r.record === 'host' ? { ...r, hostname: 'other', bootId: 'another boot', realtimeOffset: r.realtimeOffset + later } : r));

test('two hosts on one clock: each keeps its verdicts, at its wall times', () => {
  const a = open('rcvbuf-full'), b = open('no-listener');
  const { records, hosts } = merge([a, { name: 'b', records: elsewhere(b.records, 3_600_000_000_000n) }]);
  assert.equal(hosts[1]?.clock.how.by, 'wall-clocks');
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


const real = (host: string) => recorded(host, readFileSync(`${root}fixtures/merge/host-${host}.whydrop`));
/** The same recording by a host that was booted `ns` earlier. */
const copied = (name: string, records: readonly RawRecord[], ns: bigint) =>
  ({ name, records: records.map((r) => (r.record === 'host' ? { ...r, time: mono(r.time + ns), hostname: name, bootId: name } : moved(r, (t) => mono(t + ns), (n) => netnsInode(n)))) });
const clockOf = (...sources: { name: string; records: readonly RawRecord[] }[]) => merge(sources).hosts.map((h) => h.clock);
const isAttempt = (bytes: Uint8Array): boolean => new DataView(bytes.buffer, bytes.byteOffset).getUint32(CALL.kind, true) === kindWord(RECORD_KIND.connect);
/** Only what of each kind of record is wanted. */
const only = (source: { name: string; records: readonly RawRecord[] }, ...kinds: readonly RawRecord['record'][]) => ({ name: source.name, records: source.records.filter((r) => kinds.includes(r.record) || !['drop-sample', 'call', 'netlink'].includes(r.record)) });

test('two real hosts, 37 s apart: the difference is what they measured themselves, whichever comes first', () => {
  const files = ['a', 'b'].map((h) => readFileSync(`${root}fixtures/merge/host-${h}.whydrop`));
  const { said, clock } = holdsTo(readFileSync(`${root}fixtures/merge/clocks.json`, 'utf8'), files[0]!, files[1]!);
  assert.ok(said < 2, `± ${said} ms`);
  assert.ok(clock.how.by === 'packets' && clock.how.pairs.there > 20 && clock.how.pairs.back > 20 && clock.how.pairs.contradicting === 0);
  const other = clockOf(real('b'), real('a'))[1]!;
  assert.ok(other.wallAhead + clock.wallAhead < 1_000_000n && other.wallAhead + clock.wallAhead > -1_000_000n);
});

test('what failed on one host meets the drop on the other, and every view tells of the clocks', () => {
  const { records } = merge([real('a'), real('b')]);
  const { exported } = judged(records, ALL);
  const refused = exported.incidents.find((i) => i.cause.id === 'socket.no-listener' && i.count === 24)!;
  assert.equal(refused.where.netns.name, 'host-b:host');
  assert.ok(refused.victims.some((v) => v.process?.comm === 'python3' && v.errno === 'ECONNREFUSED' && v.syscall === 'connect'), 'that program runs on host-a');
  const silent = exported.incidents.find((i) => i.cause.id === 'netfilter.rule-drop')!;
  assert.ok(silent.victims.some((v) => v.process?.comm === 'python3' && v.syscall === 'connect'));
  assert.ok(!exported.incidents.some((i) => i.cause.id === 'tcp.no-answer'), 'host-b has the answer');
  assert.match(exported.losses.find((l) => l.source === 'clock')?.text ?? '', /^host-b on the time line of host-a: its wall clock was 37\.61\d s ahead, ± [\d.]+ ms, by \d+ pairs of events/);
});

test('nothing in common: said, and no difference is made up', () => {
  const [, clock] = clockOf(real('a'), only(real('b')));
  assert.deepEqual(clock!.how, { by: 'wall-clocks', pairs: { there: 0, back: 0, tracked: 0, contradicting: 0 }, corrected: false });
  assert.equal(clock!.wallAhead, 0n);
  assert.match(judged(merge([real('a'), only(real('b'))]).records, ALL).exported.losses.find((l) => l.source === 'clock')!.text, /no packet was seen by both hosts: how far they were apart is not known/);
});

test('one direction alone bounds one side: moved only as far as cause and effect need; with conntrack both', () => {
  const drops = clockOf(only(real('a'), 'call'), only({ ...real('b'), records: real('b').records.filter((r) => r.record !== 'call') }, 'drop-sample'));
  assert.ok(drops[1]!.how.by === 'packets', 'attempts are bounded by their own refusals');
  const late = clockOf(only(real('a'), 'drop-sample'), only(real('b'), 'drop-sample'))[1]!;
  assert.equal(late.how.by, 'wall-clocks');
  const tracked = clockOf(only(real('a'), 'netlink'), only(real('b'), 'netlink'))[1]!;
  assert.ok(tracked.how.by === 'conntrack' && tracked.how.uncertainty < 2_000_000_000n, JSON.stringify(tracked.how, (_, v: unknown) => (typeof v === 'bigint' ? Number(v) : v)));
  const off = tracked.wallAhead - clockOf(real('a'), real('b'))[1]!.wallAhead;
  assert.ok((off < 0n ? -off : off) <= tracked.how.uncertainty);
  // wall clocks that fit are kept: conntrack is coarser than NTP
  const set = { ...real('b'), records: real('b').records.map((r) => (r.record === 'host' ? { ...r, realtimeOffset: r.realtimeOffset - 37_614_000_000n } : r)) };
  const kept = clockOf(only(real('a'), 'netlink'), only(set, 'netlink'))[1]!;
  assert.ok(kept.how.by === 'conntrack' && kept.wallAhead === 0n && kept.how.uncertainty >= tracked.how.uncertainty);
  // a tells of b's refusals by its datagrams only
  const datagrams = { ...real('a'), records: real('a').records.filter((r) => r.record !== 'call' || !isAttempt(r.bytes)) };
  const oneSide = clockOf(only(datagrams, 'call'), only(real('b'), 'drop-sample'))[1]!;
  assert.ok(oneSide.how.by === 'wall-clocks' && oneSide.how.corrected && oneSide.how.pairs.there === 0 && oneSide.how.pairs.back > 0, JSON.stringify(oneSide.how));
  assert.ok(oneSide.wallAhead > 0n && oneSide.wallAhead < 37_700_000_000n);
});

test('the same recording twice is refused; three files, of which one is known through another', () => {
  assert.throws(() => merge([real('a'), real('b'), { ...real('a'), name: 'again' }]), /again is there twice/);
  const a = real('a'), b = real('b');
  const [, second, third] = clockOf(a, b, copied('c', a.records, 86_400_000_000_000n));
  assert.ok(second?.how.by === 'packets' && second.how.through.length === 0);
  assert.ok(third?.how.by === 'packets', 'c and a have connections in common only, c and b packets');
  assert.deepEqual(third.how.through, ['host-b']);
  const off = third.move(mono(86_400_000_000_000n));
  assert.ok((off < 0n ? -off : off) <= third.how.uncertainty, 'c is a, a day later');
  const two = merge([a, copied('b2', b.records, 0n), b]).hosts;
  assert.deepEqual(two.map((h) => h.clock.how.by), ['same-clock', 'packets', 'packets']);
});

test('a clock that is none: pairs contradict each other, and that is said', () => {
  const a = real('a'), b = real('b');
  const start = b.host.time;
  const fast = { name: 'fast', records: b.records.map((r) => (r.record === 'host' ? r : moved(r, (t) => mono(t + ((t - start) * 20_000n) / 1_000_000n), (n) => netnsInode(n)))) };
  const { how } = clockOf(a, fast)[1]!;
  assert.ok(how.by !== 'same-clock' && how.pairs.contradicting > 10, `${how.by}`);
  assert.match(judged(merge([a, fast]).records, ALL).exported.losses.find((l) => l.source === 'clock')!.text, /did not fit and were left out|contradict each other/);
});

test('what happened before the first host was booted keeps its place', () => {
  // only drops, of which none is another's cause: the wall clocks count. b's recording is ten minutes older, a was booted meanwhile
  const a = { ...real('a'), records: only(real('a'), 'drop-sample').records }, b = only(real('b'), 'drop-sample');
  const older = { name: 'older', records: b.records.map((r) => (r.record === 'host' ? { ...r, realtimeOffset: r.realtimeOffset - 600_000_000_000n } : r)) };
  const { records, hosts } = merge([a, older]);
  assert.equal(hosts[1]!.clock.how.by, 'wall-clocks');
  assert.ok(records.every((r) => r.time >= 0n));
  const both = judged(records, ALL).exported, wall = (e: typeof both, i: number): bigint => e.events.at(i)!.event.time + e.realtimeOffset;
  assert.equal(wall(both, -1), wall(judged(a.records, ALL).exported, -1), 'a keeps its wall times');
  assert.equal(wall(both, 0), wall(judged(older.records, ALL).exported, 0));
  assert.ok(both.events[0]!.event.time > 0n);
});

test('redacted, it names neither host', () => {
  // short names are not replaced wherever they stand
  for (const [one, other] of [['host-a', 'host-b'], ['a1', 'b1'], ['vm', 'web-server-17']] as const) {
    const named = (source: { name: string; records: readonly RawRecord[] }, hostname: string) => ({ ...source, records: source.records.map((r) => (r.record === 'host' ? { ...r, hostname } : r)) });
    const merged = merge([named(real('a'), one), named(real('b'), other)]).records;
    assert.ok(JSON.stringify(judged(merged, ALL).exported.losses).includes(other));
    const { losses, netnsNames, host } = judged(redactedForSharing(merged), ALL).exported;
    assert.match(losses.find((l) => l.source === 'clock')!.text, /^host-\w{6} on the time line of host-\w{6}: its wall clock was 37\.6/);
    const told = JSON.stringify([losses, [...netnsNames], host.hostname]);
    for (const name of [one, other]) assert.ok(!new RegExp(`\\b${name}\\b`).test(told), `${name} in ${told}`);
  }
});

test('bytes that are damaged give no exception, and no clock that claims to be sure of nothing', () => {
  const a = real('a'), b = real('b');
  fc.assert(fc.property(fc.infiniteStream(fc.nat()), fc.nat({ max: 3 }), (numbers, harm) => {
    const damaged = (r: RawRecord): RawRecord => {
      if (!('bytes' in r)) return r;
      const bytes = Uint8Array.from(r.bytes);
      for (let i = 0; i < harm * 8 && bytes.length > 0; i++) bytes[numbers.next().value! % bytes.length] = numbers.next().value! & 255;
      return { ...r, bytes: numbers.next().value! % 9 === 0 ? bytes.subarray(0, numbers.next().value! % (bytes.length + 1)) : bytes };
    };
    const { records, hosts } = merge([{ ...a, records: a.records.map(damaged) }, { ...b, records: b.records.map(damaged) }]);
    assert.ok(records.length > 300 && records.every((r) => r.time >= 0n));
    const { how } = hosts[1]!.clock;
    assert.ok(how.by !== 'packets' || (how.uncertainty > 0n && how.pairs.there + how.pairs.back > how.pairs.contradicting));
  }), { numRuns: 40 });
});

test('each host has its own kernel: its functions keep their names wherever the other kernel lies', () => {
  const a = real('a'), b = real('b');
  const symbol = (records: readonly RawRecord[], name: string): bigint => BigInt(`0x${new RegExp(`^([0-9a-f]{16}) \\S+ \\S ${name}$`, 'm').exec(records.flatMap((r) => (r.record === 'symbols' ? [r.text] : [])).join('\n'))![1]!}`);
  const places = (records: readonly RawRecord[]): readonly string[] =>
    judged(records, ALL).exported.events.flatMap(({ event: e }) => (e.kind === 'drop' ? [[e.place, ...e.stack].map((p) => `${p.name}+${p.offset}`).join(' ')] : [])).sort();
  const apart = [...places(a.records), ...places(b.records)].sort();
  assert.ok(apart.length === 54 && apart.every((p) => /^\w+\+\d+ /.test(p)));
  // b's kernel so that one of its functions begins in the middle of another one of a's
  for (const [ofA, ofB] of [['tcp_v4_rcv', 'nf_hook_slow'], ['ip_protocol_deliver_rcu', 'ip_local_deliver'], ['__udp4_lib_rcv', 'tcp_v4_rcv']] as const) {
    const by = symbol(a.records, ofA) + 0x20n - symbol(b.records, ofB);
    const near = { ...b, records: b.records.map((r) => relocated(r, by)) };
    assert.deepEqual(places(merge([a, near]).records), apart, `${ofB} in ${ofA}`);
    assert.deepEqual(places(merge([near, a]).records), apart);
  }
});

test('a joint recording is not joined with one of its own', () => {
  const joint = { name: 'joint', records: merge([real('a'), real('b')]).records };
  assert.throws(() => merge([joint, real('b')]), /b is of a host that another of the recordings was merged from/);
});
