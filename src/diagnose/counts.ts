import type { Growing } from './incidents.ts';
import type { Shares } from '../model/shares.ts';
import type { Sign } from './signs.ts';
import type { Store } from './store.ts';

/**
 * How many packets or calls an incident lost. The kernel-side counters are exact per (place, reason, namespace,
 * interface, protocol), or per (process, system call, errno). Where all samples of a counter belong to one incident, its
 * count is the counter; where several incidents share a counter, each has its own samples, and what was only counted is
 * divided by what they stand for (model/shares.ts). At least one was lost, though a clue alone (a neighbour that does not answer) does not say how many.
 */
export function counts(incident: Growing, shares: ReadonlyMap<string, Shares<string>>, exact: Store['exact']): { count: number; bytes: number } {
  let count = 0;
  let bytes = 0;
  const mine = new Map<string, { seen: number; bytes: number; keys: string[] }>();
  for (const sign of incident.signs) {
    if (sign.countKey === undefined) {
      count += sign.seen;
      continue;
    }
    const own = mine.get(sign.countKey) ?? { seen: 0, bytes: 0, keys: [] };
    mine.set(sign.countKey, own);
    own.seen += sign.seen;
    own.bytes += sign.bytes;
    own.keys.push(sign.key);
  }
  for (const [counter, own] of mine) {
    const total = exact(counter);
    const of = shares.get(counter);
    // no counter (tracefs), or samples newer than the last reading of it: then there is nothing to divide
    const counted = Math.max(0, (total?.count ?? 0) - Math.max(of?.seen ?? 0, own.seen));
    const parts = of?.divide(counted);
    const more = own.keys.reduce((sum, key) => sum + (parts?.get(key) ?? 0), 0);
    const lost = Math.round(own.seen + more);
    count += lost;
    // others' packets may be of another length; where there are no others the counter's own bytes are exact
    bytes += total !== undefined && lost === total.count ? total.bytes : Math.round(own.bytes + (own.bytes / Math.max(1, own.seen)) * more);
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
