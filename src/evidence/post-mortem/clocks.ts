import { mono, type Mono } from '../../base/brand.ts';
import type { Stamp } from '../../formats/evidence-record.ts';
import type { Collected } from './collected.ts';

/** How the wall times of logs and the monotonic times of traces are brought together. */
export interface Clocks {
  /** Wall minus monotonic, ns. */
  readonly offset: bigint;
  /**
   * `clocks`: both were written down at one moment. `assumed`: both kinds of times are there, and nothing joins them;
   * `wall`, `mono`: only one kind is there, so nothing has to be joined.
   */
  readonly joined: 'clocks' | 'assumed' | 'wall' | 'mono';
  /** Added to stamps without a zone, ns. */
  readonly zone: bigint;
  /** Where the offset is from. */
  readonly file?: string;
  mono(stamp: Stamp): Mono;
}

const QUARTER = 900_000_000_000n;

export function clocksOf(collected: Collected): Clocks {
  // a log line that happens to hold both times was printed later than it says
  const all = collected.of('clocks');
  const named = all.filter((c) => c.record.named);
  const pairs = (named.length > 0 ? named : all).map((c) => ({ offset: c.record.wall - c.record.mono, file: c.file })).sort((a, b) => (a.offset < b.offset ? -1 : 1));
  const stamps = stampsIn(collected);
  const known = stamps.filter((s) => s.zone).map((s) => s.ns).sort(order);
  const unknown = stamps.filter((s) => !s.zone).map((s) => s.ns).sort(order);
  const zone = known.length === 0 || unknown.length === 0 ? 0n : nearest(middle(known) - middle(unknown), QUARTER);
  const monos = [...collected.of('trace').map((t) => t.record.time), ...collected.of('kernel-log').flatMap((l) => (l.record.seconds === undefined ? [] : [BigInt(Math.round(l.record.seconds * 1e6)) * 1000n]))].sort(order);
  const walls = [...known, ...unknown.map((u) => u + zone)].sort(order);
  const pair = pairs[Math.floor((pairs.length - 1) / 2)];
  const make = (offset: bigint, joined: Clocks['joined'], file?: string): Clocks => ({ offset, joined, zone, ...(file === undefined ? {} : { file }), mono: (s) => mono(s.ns + (s.zone ? 0n : zone) - offset) });
  if (pair !== undefined) return make(pair.offset, 'clocks', pair.file);
  const lastWall = walls.at(-1), lastMono = monos.at(-1);
  if (lastWall === undefined) return make(0n, 'mono');
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
  ];
}

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
const middle = (list: readonly bigint[]): bigint => list[Math.floor(list.length / 2)] ?? 0n;
function nearest(value: bigint, step: bigint): bigint {
  const half = step / 2n;
  return ((value + (value < 0n ? -half : half)) / step) * step;
}
