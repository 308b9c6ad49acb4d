import type { Exported } from './exported.ts';

/**
 * For how many losses each event stands, so that all of one cause in a namespace add up to its incidents' exact counts, about
 * where they were: a described packet brings those that its CPU only counted since the one before, and a call that failed
 * because of a dropped packet was counted with it. In the order of `events`.
 */
export function weightsOf({ events, incidents }: Pick<Exported, 'events' | 'incidents'>): Float64Array {
  const keyOf = (netns: number, cause: string | undefined): string => `${netns} ${cause ?? ''}`;
  const dropped = new Set(events.flatMap(({ event, incident }) => (event.kind === 'drop' ? [keyOf(event.netns, incident?.cause)] : [])));
  const exact = new Map<string, number>();
  for (const i of incidents) {
    const key = keyOf(i.where.netns.inode, i.cause.id);
    exact.set(key, (exact.get(key) ?? 0) + i.count);
  }
  const sums = new Map<string, number>();
  const weights = Float64Array.from(events, ({ event, incident }) => {
    const key = keyOf(event.netns, incident?.cause);
    const weight = event.kind === 'drop' ? 1 + (event.shed ?? 0) : dropped.has(key) ? 0 : 1;
    sums.set(key, (sums.get(key) ?? 0) + weight);
    return weight;
  });
  for (const [i, { event, incident }] of events.entries()) {
    const key = keyOf(event.netns, incident?.cause);
    const all = exact.get(key);
    if (all !== undefined) weights[i] = (weights[i]! * all) / sums.get(key)!;
  }
  return weights;
}
