import type { Growing } from './incidents.ts';
import type { Samples, Sign } from './signs.ts';
import type { Store } from './store.ts';

/**
 * How many packets or calls an incident lost. The kernel-side counters are exact per (place, reason, namespace,
 * interface, protocol), or per (process, system call, errno). Where all samples of a counter belong to one incident, its
 * count is the counter; where several incidents share a counter, each has its own samples, and what was only counted is
 * divided in proportion to those that stand for others: a flow that was described because it is new stands for itself, or
 * one packet a second beside a flood would be taken for a large part of it. At least one was lost, though a clue alone (a neighbour that does not answer) does not say how many.
 */
export function counts(incident: Growing, samples: ReadonlyMap<string, Samples>, exact: Store['exact']): { count: number; bytes: number } {
  let count = 0;
  let bytes = 0;
  const mine = new Map<string, { seen: number; standing: number; bytes: number }>();
  for (const sign of incident.signs) {
    if (sign.countKey === undefined) {
      count += sign.seen;
      continue;
    }
    const sum = mine.get(sign.countKey) ?? { seen: 0, standing: 0, bytes: 0 };
    mine.set(sign.countKey, sum);
    sum.seen += sign.seen;
    sum.standing += sign.standing;
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
    const all = samples.get(key) ?? own;
    const seen = Math.max(all.seen, own.seen);
    const share = all.standing > 0 ? own.standing / all.standing : own.seen / seen;
    const lost = own.seen + Math.max(0, total.count - seen) * share;
    count += Math.round(lost);
    bytes += Math.round((total.bytes * lost) / Math.max(1, total.count));
  }
  return { count: Math.max(1, count), bytes };
}

/** How many samples there are of what an incident is about. */
export const seenOften = (incident: Growing): number => incident.signs.reduce((sum, s) => sum + repeated(s), 0);

/** How often one destination was seen: the sign that takes all further flows of a counter lumps many of them together. */
function repeated(sign: Sign): number {
  if (!sign.key.startsWith('rest|')) return sign.seen;
  const each = new Map<string, number>();
  for (const { symptom, count } of sign.victims.values()) {
    if (symptom.kind !== 'drop' || symptom.drop.packet.ip === undefined) return sign.seen;
    const { ip, transport } = symptom.drop.packet;
    const to = `${ip.destination} ${ip.protocol} ${transport !== undefined && 'destinationPort' in transport ? transport.destinationPort : ''}`;
    each.set(to, (each.get(to) ?? 0) + count);
  }
  return each.size === 0 ? sign.seen : Math.max(...each.values());
}
