import type { Mono } from '../base/brand.ts';
import type { Sink } from '../model/capture.ts';
import type { RawRecord } from '../model/record.ts';

/** Keeps the last minutes in memory, for writing them when something happens. */
export interface BlackBox {
  readonly write: Sink;
  /** What is kept now: the host and symbols, of every question the last answer before the window (the baseline), then the window. */
  records(): readonly RawRecord[];
}

/** `window` in ns; `limit` in records bounds the memory under flood. */
export function createBlackBox(window: bigint, limit = 200_000): BlackBox {
  const always: RawRecord[] = [];
  const baseline = new Map<string, RawRecord>();
  let recent: RawRecord[] = [];
  const cut = (newest: Mono): void => {
    const from = recent.findIndex((r) => r.time >= newest - window);
    const begin = Math.max(from, recent.length - limit, 0);
    for (const record of recent.slice(0, begin)) if (record.record === 'answer') baseline.set(JSON.stringify(record.question), record);
    recent = recent.slice(begin);
  };
  return {
    write: (record) => {
      if (record.record === 'host' || record.record === 'probe' || record.record === 'symbols') return void always.push(record);
      recent.push(record);
      if (recent.length % 1024 === 0) cut(record.time);
    },
    records: () => {
      const newest = recent.at(-1)?.time;
      if (newest !== undefined) cut(newest);
      return [...always, ...[...baseline.values()], ...recent].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    },
  };
}
