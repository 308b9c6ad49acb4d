import type { Netns } from '../../base/brand.ts';
import type { ConntrackEvent } from '../../model/event.ts';
import type { ConntrackChange, CounterChange } from './facts.ts';

export interface Placed {
  readonly netns: Netns;
  readonly how: string;
}

/** A loss at one of the two hooks where entries are inserted, or a send that was refused. */
export type Side = 'sent' | 'received';

const BEFORE = 300_000_000n;
/** conntrack -E prints an event up to some ms after it happened. */
const LATE = 20_000_000n;

/**
 * In which namespace a loss was that names none: where alone the counters have room for it (a packet refused on its way
 * out counts in Ip OutDiscards, one on its way in does not), else where entries were deleted just before.
 */
export function placer(conntrack: readonly ConntrackChange[], counters: readonly CounterChange[], deleted: readonly ConntrackEvent[], names: ReadonlyMap<Netns, string>): (side: Side, time: bigint | undefined) => Placed | undefined {
  const discards = new Map(counters.flatMap((c) => c.moved.filter((m) => m.name === 'Ip OutDiscards').map((m) => [c.netns, m.after - m.before] as const)));
  const room = (side: Side): readonly Netns[] => (side === 'sent' ? [...discards.keys()] : conntrack.filter((c) => c.lost > (discards.get(c.netns) ?? 0)).map((c) => c.netns)).filter((n) => names.has(n));
  return (side, time) => {
    const counted = room(side);
    if (counted.length === 1) return { netns: counted[0]!, how: side === 'sent' ? 'Ip OutDiscards grew there alone' : 'conntrack counted more failed inserts there than packets refused on their way out, and nowhere else' };
    if (time === undefined) return undefined;
    const near = nearest(deleted, time).filter((n) => counted.length === 0 || counted.includes(n.netns));
    const [first, second] = near;
    if (first === undefined || (second !== undefined && second.away < 3n * (first.away + 1_000_000n))) return undefined;
    return { netns: first.netns, how: 'entries were deleted there just before' };
  };
}

/** Namespaces by how long before `time` entries were deleted there; `deleted` is in order of time. */
function nearest(deleted: readonly ConntrackEvent[], time: bigint): readonly { readonly netns: Netns; readonly away: bigint }[] {
  let low = 0, high = deleted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (deleted[middle]!.time < time - BEFORE) low = middle + 1;
    else high = middle;
  }
  const away = new Map<Netns, bigint>();
  for (let i = low; i < deleted.length && deleted[i]!.time <= time + LATE; i++) {
    const e = deleted[i]!;
    const d = e.time > time ? e.time - time : time - e.time;
    if (d < (away.get(e.netns) ?? BEFORE)) away.set(e.netns, d);
  }
  return [...away].map(([netns, d]) => ({ netns, away: d })).sort((a, b) => (a.away < b.away ? -1 : 1));
}
