import type { RawRecord } from '../model/record.ts';

/** About so many bytes, before they are packed. */
export const sizeOf = (records: readonly RawRecord[]): number => records.reduce((n, r) => n + ('bytes' in r ? r.bytes.length : 'body' in r && (typeof r.body === 'string' || r.body instanceof Uint8Array) ? r.body.length : 200) + 64, 0);

type Kind = RawRecord['record'];
const SAMPLES: ReadonlySet<Kind> = new Set(['drop-sample', 'trace-page', 'call']);
const ROUNDS = 12;

/**
 * Makes a recording smaller without making it lie: of the samples every second one goes, the oldest first, until the rest
 * fits. Readings of the drop counters hold totals: older ones go with the samples, where a later one has all
 * their counters; so counts stay whole. Answers, conntrack events and what was missed stay.
 */
export function thin(records: readonly RawRecord[], target: number): readonly RawRecord[] {
  let kept = [...records];
  let dropped = 0;
  for (let round = 0; round < ROUNDS && sizeOf(kept) > target; round++) {
    const half = Math.ceil(kept.length / 2);
    const later = kept.slice(half).reduce((n, r) => (r.record === 'drop-counts' ? Math.max(n, r.bytes.length) : n), -1);
    let odd = false;
    let gone = 0;
    const next = kept.filter((r, i) => {
      if (i >= half) return true;
      // counters are never taken back: as many rows as later are the same ones
      const spare = r.record === 'drop-counts' && r.bytes.length <= later;
      if (!spare && !SAMPLES.has(r.record)) return true;
      odd = !odd;
      if (!odd && !spare) gone += 1;
      return odd;
    });
    if (next.length === kept.length) break;
    dropped += gone;
    kept = next;
  }
  const last = kept.at(-1);
  if (dropped > 0 && last !== undefined) kept.push({ record: 'missed', time: last.time, source: 'recording', count: dropped, text: `${dropped} older samples were left out to keep the file within --max-size; counts are whole` });
  return kept;
}
