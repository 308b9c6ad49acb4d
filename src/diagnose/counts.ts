import type { Growing } from './incidents.ts';
import type { Store } from './store.ts';

/**
 * How many packets or calls an incident lost. The kernel-side counters are exact per (place, reason, namespace,
 * interface, protocol), or per (process, system call, errno). Where all samples of a counter belong to one incident, its
 * count is the counter; where several incidents share a counter, it is divided in proportion to their samples. At least one
 * was lost, though a clue alone (a neighbour that does not answer) does not say how many.
 */
export function counts(incident: Growing, samples: ReadonlyMap<string, number>, exact: Store['exact']): { count: number; bytes: number } {
  let count = 0;
  let bytes = 0;
  const mine = new Map<string, { seen: number; bytes: number }>();
  for (const sign of incident.signs) {
    if (sign.countKey === undefined) {
      count += sign.seen;
      continue;
    }
    const sum = mine.get(sign.countKey) ?? { seen: 0, bytes: 0 };
    mine.set(sign.countKey, sum);
    sum.seen += sign.seen;
    sum.bytes += sign.bytes;
  }
  for (const [key, own] of mine) {
    const total = exact(key);
    if (total === undefined || total.count < own.seen) {
      // no counter (tracefs), or samples newer than the last reading of it
      count += own.seen;
      bytes += own.bytes;
      continue;
    }
    const share = own.seen / Math.max(samples.get(key) ?? 0, own.seen);
    count += Math.round(total.count * share);
    bytes += Math.round(total.bytes * share);
  }
  return { count: Math.max(1, count), bytes };
}
