import type { Victim } from '../model/incident.ts';
import type { Symptom } from '../model/symptom.ts';
import type { Growing } from './incidents.ts';
import { MAX_VICTIMS as MOST_OF_SIGN, type Sign } from './signs.ts';

/** Of an incident. */
const MOST = 50;

/** Whom an incident hit: those that are known from before, and those of its signs. `find` names whom a symptom hit. */
export function victimsOf(incident: Growing, find: (sign: Sign, symptom: Symptom) => readonly Victim[]): ReadonlyMap<string, Victim> {
  const merged = new Map<string, Victim>(incident.known);
  for (const sign of incident.signs) {
    if (merged.size >= MOST) break;
    for (const { symptom, count } of sign.victims.values()) {
      for (const victim of find(sign, symptom)) {
        const { key, known } = same(merged, victim);
        merged.set(key, { ...(known === undefined || (known.errno === undefined && victim.errno !== undefined) ? victim : known), count: (known?.count ?? 0) + count });
      }
      if (merged.size >= MOST) break;
    }
  }
  return merged;
}

/** Those hit most first. Where all of them are known they together suffered everything, also what was counted and not described. */
export function shareOut(victims: ReadonlyMap<string, Victim>, incident: Growing, total: number): readonly Victim[] {
  const list = [...victims.values()].sort((a, b) => b.count - a.count);
  let of = list.reduce((n, v) => n + v.count, 0);
  if (list.length >= MOST || of === total || total < list.length || incident.signs.some((s) => s.victims.size >= MOST_OF_SIGN)) return list;
  // fewer than were seen: shared out among incidents by counters, or a clue that does not say how many
  if (of > total && incident.signs.some((s) => s.countKey === undefined)) return list;
  let left = total;
  return list.map((victim) => {
    const count = Math.min(left, Math.max(1, Math.round((left * victim.count) / of)));
    left -= count;
    of -= victim.count;
    return { ...victim, count };
  });
}

/**
 * The victim among those that are known: of one process and flow with one error. A packet whose failed call was counted and
 * not described is that of the one whose was.
 */
function same(known: Map<string, Victim>, victim: Victim): { readonly key: string; readonly known?: Victim } {
  const keyOf = (errno: string | undefined): string => JSON.stringify([victim.process?.pid, victim.flow, errno]);
  const key = keyOf(victim.errno);
  const exact = known.get(key);
  if (exact !== undefined) return { key, known: exact };
  if (victim.errno !== undefined) {
    const without = known.get(keyOf(undefined));
    if (without === undefined) return { key };
    known.delete(keyOf(undefined));
    return { key, known: without };
  }
  for (const [other, v] of known) if (v.process?.pid === victim.process?.pid && JSON.stringify(v.flow) === JSON.stringify(victim.flow)) return { key: other, known: v };
  return { key };
}
