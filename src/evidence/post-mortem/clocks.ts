import { mono, type Mono } from '../../base/brand.ts';
import type { Stamp, TraceRecord } from '../../formats/evidence-record.ts';
import type { Collected } from './collected.ts';

/** How the wall times of logs and the monotonic times of traces are brought together. */
export interface Clocks {
  /** Wall minus monotonic, ns. */
  readonly offset: bigint;
  /**
   * `clocks`: both were written down at one moment. `assumed`: both kinds of times are there, and nothing joins them;
   * `wall`, `mono`: only one kind is there, so nothing has to be joined; `day`, `order`: not even that, only times of a day
   * that is not named, or the order of lines.
   */
  readonly joined: 'clocks' | 'assumed' | 'wall' | 'mono' | 'day' | 'order';
  /** Added to stamps without a zone, ns. */
  readonly zone: bigint;
  /** Where the offset is from. */
  readonly file?: string;
  mono(stamp: Stamp): Mono;
  /** When an event of a trace happened: its own time, or where text without a clock is put. */
  event(record: Pick<TraceRecord, 'time' | 'stamp' | 'keeps'>): Mono;
}

const QUARTER = 900_000_000_000n;
const DAY = 86_400_000_000_000n;

export function clocksOf(collected: Collected): Clocks {
  // a log line that happens to hold both times was printed later than it says
  const all = collected.of('clocks');
  const named = all.filter((c) => c.record.named);
  const stamps = stampsIn(collected);
  const known = stamps.filter((s) => s.zone).map((s) => s.ns).sort(order);
  const unknown = stamps.filter((s) => !s.zone).map((s) => s.ns).sort(order);
  const zone = known.length === 0 || unknown.length === 0 ? 0n : nearest(middle(known) - middle(unknown), QUARTER);
  const pairs = (named.length > 0 ? named : all).map((c) => ({ offset: c.record.wall + (c.record.zone === false ? zone : 0n) - c.record.mono, file: c.file })).sort((a, b) => (a.offset < b.offset ? -1 : 1));
  const traced = collected.of('trace');
  const monos = [...traced.flatMap((t) => (t.record.stamp === undefined && t.record.keeps === undefined ? [t.record.time] : [])), ...collected.of('kernel-log').flatMap((l) => (l.record.seconds === undefined ? [] : [BigInt(Math.round(l.record.seconds * 1e6)) * 1000n]))].sort(order);
  const walls = [...known, ...unknown.map((u) => u + zone)].sort(order);
  const pair = pairs[Math.floor((pairs.length - 1) / 2)];
  const lastWall = walls.at(-1), lastMono = monos.at(-1);
  const make = (offset: bigint, joined: Clocks['joined'], file?: string): Clocks => {
    const ofStamp = (s: Stamp): Mono => mono(s.ns + (s.zone ? 0n : zone) - offset);
    // lines without a clock: behind all that has one; times of day: on the day of the last date
    const behind = lastMono ?? (lastWall === undefined ? 0n : lastWall - offset);
    const day = lastWall === undefined ? 0n : (lastWall / DAY) * DAY - offset;
    return {
      offset, joined, zone, ...(file === undefined ? {} : { file }), mono: ofStamp,
      event: (r) => (r.stamp !== undefined ? ofStamp(r.stamp) : r.keeps === undefined ? mono(r.time) : r.keeps === 'order' ? mono(behind + r.time + 1n) : mono(day + r.time)),
    };
  };
  if (pair !== undefined) return make(pair.offset, 'clocks', pair.file);
  if (lastWall === undefined) return make(0n, lastMono !== undefined || traced.length === 0 ? 'mono' : traced.some((t) => t.record.keeps === 'day') ? 'day' : 'order');
  // some room before the first wall time keeps monotonic times positive
  if (lastMono === undefined) return make(walls[0]! - 3_600_000_000_000n, 'wall');
  return make(lastWall - lastMono, 'assumed');
}

function stampsIn(collected: Collected): readonly Stamp[] {
  return [
    ...collected.of('log').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
    ...collected.of('conntrack-event').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
    ...collected.of('conntrack-listing').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
    ...collected.of('counters').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
    ...collected.of('command').map((l) => l.record.from),
    ...collected.of('kernel-log').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
    ...collected.of('trace').flatMap((l) => (l.record.stamp === undefined ? [] : [l.record.stamp])),
  ];
}

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
const middle = (list: readonly bigint[]): bigint => list[Math.floor(list.length / 2)] ?? 0n;
function nearest(value: bigint, step: bigint): bigint {
  const half = step / 2n;
  return ((value + (value < 0n ? -half : half)) / step) * step;
}
