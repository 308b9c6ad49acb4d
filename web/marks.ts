import type { ListedIncident } from '../src/views/web/protocol.ts';

/** A mark on the time line: one incident, or several that have no room of their own. */
export interface Mark {
  /** Most harm first; never empty. */
  readonly incidents: readonly ListedIncident[];
  readonly lane: number;
  /** Parts of the plot's width. */
  readonly left: number;
  readonly width: number;
  /** From its left side to the next mark of its lane, or the end of the plot. */
  readonly room: number;
}

/** Lanes for single incidents; below them is one for those that have no room. */
const LANES = 4;
/** The narrowest mark that can be hit with a finger, and the room beside it, px. */
export const NARROWEST = 24;
const GAP = 4;

/**
 * Marks that never lie upon each other: each incident gets the first lane where there is room for it, the most harmful
 * first. What finds none is told together. `incidents`: ranked; `from`, `to`: s; `pixels`: width of the plot.
 */
export function marksOf(incidents: readonly ListedIncident[], from: number, to: number, pixels: number): readonly Mark[] {
  const at = (iso: string): number => Math.min(1, Math.max(0, (Date.parse(iso) / 1000 - from) / Math.max(0.001, to - from)));
  const least = NARROWEST / Math.max(1, pixels);
  const gap = GAP / Math.max(1, pixels);
  const lanes: { readonly left: number; readonly right: number }[][] = Array.from({ length: LANES }, () => []);
  const marks: Omit<Mark, 'room'>[] = [];
  const rest: { incident: ListedIncident; left: number; right: number }[] = [];
  for (const incident of incidents) {
    const left = at(incident.first);
    const right = Math.max(left + least, at(incident.last));
    const lane = lanes.findIndex((taken) => taken.every((t) => t.right + gap <= left || right + gap <= t.left));
    if (lane < 0) {
      rest.push({ incident, left, right });
      continue;
    }
    lanes[lane]!.push({ left, right });
    marks.push({ incidents: [incident], lane, left, width: right - left });
  }
  // by time: who touches the one before joins it
  const groups: { left: number; right: number; incidents: ListedIncident[] }[] = [];
  for (const { incident, left, right } of rest.toSorted((a, b) => a.left - b.left)) {
    const last = groups.at(-1);
    if (last !== undefined && left < last.right + gap) {
      last.right = Math.max(last.right, right);
      last.incidents.push(incident);
    } else groups.push({ left, right, incidents: [incident] });
  }
  const rank = new Map(incidents.map((i, n) => [i.id, n]));
  for (const { left, right, incidents: some } of groups) marks.push({ incidents: some.toSorted((a, b) => rank.get(a.id)! - rank.get(b.id)!), lane: LANES, left, width: right - left });
  return marks.map((mark) => ({ ...mark, room: Math.min(1, ...marks.filter((k) => k.lane === mark.lane && k.left > mark.left).map((k) => k.left)) - mark.left }));
}
