import type { Mono, Netns } from '../base/brand.ts';
import { counterKey } from '../model/counter.ts';
import { createShares, type Shares } from '../model/shares.ts';
import type { CallCountEvent, CallEvent, DropCountEvent, DropEvent, Event } from '../model/event.ts';
import type { ExportedEvent } from './exported.ts';

/** Packets or calls that the kernel counted and nobody described: of one counter, between two readings of it. */
export interface Undescribed {
  readonly counter: DropCountEvent | CallCountEvent;
  /** When the counter was read: a second, at most, after they were lost. */
  readonly time: Mono;
  readonly count: number;
  readonly bytes: number;
  /** Its name, where a described packet told it. */
  readonly interface?: string;
  /** The incident that has this share of the counter, as in diagnose/counts.ts. */
  readonly incident?: ExportedEvent['incident'] | undefined;
  /** Of a counter of calls: a call that it counted and that was described. */
  readonly like?: CallEvent;
}

interface Counter {
  last: DropCountEvent | CallCountEvent;
  readonly readings: { time: Mono; count: number; described: number }[];
  bytes: number;
  described: number;
  describedBytes: number;
  readonly shares: Map<string, Share>;
  /** How much of what nobody described is whose, by keys of `shares`. */
  readonly whose: Shares<string>;
}

interface Share {
  readonly incident?: ExportedEvent['incident'] | undefined;
  readonly like?: CallEvent;
  /** What whole numbers left over so far. */
  owed: number;
}

const SECOND = 1_000_000_000n;

/**
 * What is missing from `events` to what the kernel counted, so that both together are exact: for every counter, second
 * and incident one entry. A counter of several incidents is divided as their counts are (model/shares.ts). Calls are counted before it is known what they were on: a counter of which no call was described is none.
 */
export function undescribedOf(all: readonly Event[], events: readonly ExportedEvent[]): Undescribed[] {
  const counters = countersOf(all);
  const interfaces = new Map<string, string>();
  for (const { event, incident } of events) {
    if (event.kind === 'drop' && event.interface !== undefined) interfaces.set(nameKey(event), event.interface);
    const counter = counters.get(counterKey(event) ?? '');
    if (counter !== undefined) describe(counter, event, incident);
  }
  const rows: Undescribed[] = [];
  for (const counter of counters.values()) {
    const { last } = counter;
    if (last.kind === 'call-count' && counter.described === 0) continue;
    const name = last.kind === 'drop-count' ? interfaces.get(nameKey(last)) : undefined;
    for (const row of rowsOf(counter)) rows.push(name === undefined ? row : { ...row, interface: name });
  }
  return rows.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

const nameKey = (at: { readonly netns: Netns; readonly ifindex: number }): string => `${at.netns}|${at.ifindex}`;

/** Readings only rise, and one a second is enough. */
function countersOf(all: readonly Event[]): Map<string, Counter> {
  const counters = new Map<string, Counter>();
  for (const event of all) {
    if (event.kind !== 'drop-count' && event.kind !== 'call-count') continue;
    const key = counterKey(event)!;
    const count = event.kind === 'drop-count' ? event.packets : event.calls;
    const counter = counters.get(key) ?? { last: event, readings: [], bytes: 0, described: 0, describedBytes: 0, shares: new Map<string, Share>(), whose: createShares<string>() };
    counters.set(key, counter);
    const before = counter.readings.at(-1);
    if (before !== undefined && count <= before.count) continue;
    counter.last = event;
    if (event.kind === 'drop-count') counter.bytes = Math.max(counter.bytes, event.bytes);
    if (before !== undefined && before.time / SECOND === event.time / SECOND) Object.assign(before, { time: event.time, count });
    else counter.readings.push({ time: event.time, count, described: 0 });
  }
  return counters;
}

function describe(counter: Counter, event: DropEvent | CallEvent, incident: ExportedEvent['incident']): void {
  counter.described += 1;
  if (event.kind === 'drop') counter.describedBytes += event.length;
  const reading = counter.readings[firstFrom(counter.readings, event.time)];
  if (reading !== undefined) reading.described += 1;
  const key = event.kind === 'drop' ? (incident?.id ?? '') : `${incident?.id ?? ''}|${event.netns}|${event.task.uid}|${event.task.comm}`;
  const share = counter.shares.get(key) ?? { owed: 0, ...(incident === undefined ? {} : { incident }), ...(event.kind === 'call' ? { like: event } : {}) };
  counter.shares.set(key, share);
  counter.whose.add(event, key);
}

/** The index of the first reading at or after `time`. */
function firstFrom(readings: Counter['readings'], time: Mono): number {
  let low = 0;
  for (let high = readings.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (readings[middle]!.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* rowsOf(counter: Counter): Generator<Undescribed> {
  const { readings, last } = counter;
  const total = (readings.at(-1)?.count ?? 0) - counter.described;
  if (total <= 0) return;
  const bytes = Math.max(0, counter.bytes - counter.describedBytes);
  // how many were counted and not described up to each reading; a sample may be newer than the reading that counts it
  const upTo: number[] = [];
  let described = 0;
  for (const reading of readings) upTo.push(reading.count - (described += reading.described));
  for (let i = upTo.length - 1, least = total; i >= 0; i--) upTo[i] = least = Math.max(0, Math.min(least, upTo[i]!));
  upTo[upTo.length - 1] = total;

  const weights = counter.whose.divide(total);
  const shares = [...counter.shares].map(([key, share]) => ({ share, weight: weights.get(key) ?? 0 }));
  let before = 0;
  let bytesBefore = 0;
  for (const [i, reading] of readings.entries()) {
    for (const { count, share } of divided(upTo[i]! - before, shares)) {
      before += count;
      const bytesNow = Math.round(bytes * (before / total));
      yield {
        counter: last, time: reading.time, count, bytes: bytesNow - bytesBefore,
        ...(share?.incident === undefined ? {} : { incident: share.incident }), ...(share?.like === undefined ? {} : { like: share.like }),
      };
      bytesBefore = bytesNow;
    }
  }
}

/** Whole parts of `count`; what rounding takes from a share it gets the next time. */
function divided(count: number, shares: readonly { readonly share: Share; readonly weight: number }[]): { readonly count: number; readonly share?: Share }[] {
  if (count === 0) return [];
  if (shares.length <= 1) return [{ count, ...(shares[0] === undefined ? {} : { share: shares[0].share }) }];
  const all = shares.reduce((n, s) => n + s.weight, 0);
  for (const { share, weight } of shares) share.owed += (count * weight) / all;
  let left = count;
  const parts = shares.map(({ share }) => {
    const part = Math.min(left, Math.max(0, Math.floor(share.owed)));
    left -= part;
    return { count: part, share };
  });
  // the rest, one each, to those that have most to get
  for (const part of parts.toSorted((a, b) => b.share.owed - b.count - (a.share.owed - a.count))) {
    if (left === 0) break;
    part.count += 1;
    left -= 1;
  }
  if (left > 0) parts[0]!.count += left;
  for (const part of parts) part.share.owed -= part.count;
  return parts.filter((p) => p.count > 0);
}
