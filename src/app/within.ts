import { CALL_KEY, CALL_ROW, COUNT_KEY, COUNT_ROW } from '../bpf/layout.ts';
import type { RawRecord } from '../model/record.ts';

/** Milliseconds from the beginning of a recording. */
export interface Span {
  readonly from?: number;
  readonly to?: number;
}

type Reading = Extract<RawRecord, { record: 'drop-counts' | 'call-counts' }>;

/** Where the rows of a reading have their totals. */
const ROWS = {
  'drop-counts': { size: COUNT_ROW.size, key: COUNT_KEY.size, totals: [COUNT_ROW.packets, COUNT_ROW.bytes] },
  'call-counts': { size: CALL_ROW.size, key: CALL_KEY.size, totals: [CALL_ROW.calls] },
} as const;

/**
 * A part of a recording: what is known of the host and the answers stay. Counters hold totals since the probe was armed: what
 * they had counted before the part is taken off.
 */
export function within(records: readonly RawRecord[], { from, to }: Span): readonly RawRecord[] {
  if (from === undefined && to === undefined) return records;
  const first = records[0]?.time ?? 0n;
  const at = (ms: number): bigint => first + BigInt(Math.round(ms * 1e6));
  const begin = from === undefined ? undefined : at(from);
  const end = to === undefined ? undefined : at(to);
  const before = new Map<Reading['record'], Map<string, readonly bigint[]>>();
  const out: RawRecord[] = [];
  for (const record of records) {
    const isReading = record.record === 'drop-counts' || record.record === 'call-counts';
    if (begin !== undefined && record.time < begin) {
      if (isReading) before.set(record.record, new Map([...(before.get(record.record) ?? []), ...totalsOf(record)]));
      if (!stays(record)) continue;
    }
    if (end !== undefined && record.time > end && !stays(record)) continue;
    const known = isReading ? before.get(record.record) : undefined;
    out.push(isReading && known !== undefined ? without(record, known) : record);
  }
  return out;
}

const stays = (r: RawRecord): boolean => r.record === 'host' || r.record === 'symbols' || r.record === 'answer' || r.record === 'probe';

function* rowsOf(record: Reading): Generator<{ readonly key: string; readonly at: number }> {
  const { size, key } = ROWS[record.record];
  const bytes = Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength);
  for (let at = 0; at + size <= bytes.length; at += size) yield { key: bytes.toString('latin1', at, at + key), at };
}

function totalsOf(record: Reading): Map<string, readonly bigint[]> {
  const v = new DataView(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength);
  return new Map([...rowsOf(record)].map(({ key, at }) => [key, ROWS[record.record].totals.map((total) => v.getBigUint64(at + total, true))]));
}

/** The reading without what was counted before; counters that have not moved since are not in it. */
function without(record: Reading, before: ReadonlyMap<string, readonly bigint[]>): Reading {
  const { size, totals } = ROWS[record.record];
  const kept: Uint8Array[] = [];
  for (const { key, at } of rowsOf(record)) {
    const row = Uint8Array.from(record.bytes.subarray(at, at + size));
    const v = new DataView(row.buffer);
    totals.forEach((total, i) => {
      const now = v.getBigUint64(total, true);
      const then = before.get(key)?.[i] ?? 0n;
      // a counter that runs backwards is a new one
      v.setBigUint64(total, now >= then ? now - then : now, true);
    });
    if (v.getBigUint64(totals[0], true) > 0n) kept.push(row);
  }
  return { ...record, bytes: new Uint8Array(Buffer.concat(kept)) };
}
