import { mono, type Mono } from '../base/brand.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { clockDifference, type LinearDifference, type PairCount } from '../timeline/clock-difference.ts';
import { passagesOf, type Passages } from '../timeline/passages.ts';

export interface Recorded {
  readonly name: string;
  readonly host: HostRecord;
  readonly records: readonly RawRecord[];
}

/** What a merged recording's host is called; {@link hostnamesOf} takes it apart. */
export const joinedHostname = (names: readonly string[]): string => [...new Set(names)].join(' + ');
export const hostnamesOf = (hostname: string): readonly string[] => hostname.split(' + ');

/** How a recording's times come onto the first one's clock. */
export interface OnCommonClock {
  readonly move: (time: Mono) => Mono;
  readonly how: ClockSource;
  /** Its wall clock minus the first one's, ns. */
  readonly wallAhead: bigint;
}

export type ClockSource =
  | { readonly by: 'same-clock' }
  /** Times are off by at most `uncertainty` ns. `through`: the hosts between it and the first. */
  | { readonly by: 'packets' | 'conntrack'; readonly uncertainty: bigint; readonly ppm: number; readonly pairs: PairCount; readonly through: readonly string[] }
  /** The wall clocks, for lack of packets in both directions. `corrected`: moved so that no effect is before its cause. */
  | { readonly by: 'wall-clocks'; readonly pairs: PairCount; readonly corrected: boolean };

const NO_PAIRS: PairCount = { there: 0, back: 0, tracked: 0, contradicting: 0 };

/** Brings all recordings onto the first one's clock; see timeline/clock-difference.ts. Recordings of one boot have one clock. */
export function commonClock(recorded: readonly Recorded[]): readonly OnCommonClock[] {
  const boots = [...new Set(recorded.map((r) => r.host.bootId))].map((bootId) => bootOf(recorded.filter((r) => r.host.bootId === bootId)));
  const reached = new Map<number, Reached>([[0, { move: (time) => time, uncertainty: 0n, ppm: 0, by: 'packets', pairs: NO_PAIRS, through: [] }]]);
  const onlySide = new Map<number, { readonly low?: bigint; readonly high?: bigint; readonly pairs: PairCount }>();
  // from the best known host to the next: the sum of the uncertainties is least
  const open = new Map<number, Reached>();
  for (let from = 0, on = reached.get(0)!; ; ) {
    for (const [to, boot] of boots.entries()) {
      if (reached.has(to)) continue;
      const known = boots[from]!;
      const found = clockDifference(known.passages, boot.passages, [boot.first, boot.last]);
      if (found.known === 'both-sides') {
        const difference = withWallClocks(found.difference, known.realtimeOffset - boot.realtimeOffset);
        const uncertainty = on.uncertainty + difference.uncertainty;
        const better = open.get(to);
        if (better === undefined || uncertainty < better.uncertainty) {
          const back = movedBy(difference);
          const { move } = on;
          open.set(to, { move: (time) => move(back(time)), uncertainty, ppm: on.ppm + difference.ppm, by: on.by === 'conntrack' ? on.by : found.by, pairs: found.pairs, through: from === 0 ? [] : [...on.through, known.hostname] });
        }
      } else if (from === 0) onlySide.set(to, found.known === 'one-side' ? found : { pairs: found.pairs });
    }
    const [next] = [...open].sort((a, b) => (a[1].uncertainty < b[1].uncertainty ? -1 : 1));
    if (next === undefined) break;
    open.delete(next[0]);
    reached.set(...next);
    [from, on] = next;
  }
  const lead = recorded[0]!.host;
  return recorded.map(({ host }) => {
    const index = boots.findIndex((b) => b.bootId === host.bootId);
    const exact = reached.get(index);
    const wall = host.realtimeOffset - lead.realtimeOffset;
    if (exact !== undefined) {
      const { move, uncertainty, ppm, by, pairs, through } = exact;
      return { move, wallAhead: wall - (move(host.time) - host.time), how: index === 0 ? { by: 'same-clock' } : { by, uncertainty, ppm, pairs, through } };
    }
    const side = onlySide.get(index);
    // second minus first: -shift is to be within [low, high]
    const shift = side?.low !== undefined && -wall < side.low ? -side.low : side?.high !== undefined && -wall > side.high ? -side.high : wall;
    return { move: (time) => mono(time + shift), wallAhead: wall - shift, how: { by: 'wall-clocks', pairs: side?.pairs ?? NO_PAIRS, corrected: shift !== wall } };
  });
}

interface Reached {
  readonly move: (time: Mono) => Mono;
  readonly uncertainty: bigint;
  readonly ppm: number;
  readonly by: 'packets' | 'conntrack';
  readonly pairs: PairCount;
  readonly through: readonly string[];
}

interface Boot {
  readonly bootId: string;
  readonly hostname: string;
  readonly passages: Passages;
  readonly first: Mono;
  readonly last: Mono;
  readonly realtimeOffset: bigint;
}

/** What the recordings of one boot saw, together; it has one clock. */
function bootOf(recorded: readonly Recorded[]): Boot {
  const { host } = recorded[0]!;
  let first = host.time, last = host.time;
  for (const { records } of recorded) for (const { time } of records) {
    if (time < first) first = time;
    if (time > last) last = time;
  }
  return { bootId: host.bootId, hostname: host.hostname, passages: passagesOf(recorded), first, last, realtimeOffset: host.realtimeOffset };
}

/** What NTP does well, packets that bound the difference more coarsely than this do not do better. ns. */
const COARSE_NS = 10_000_000n;

/** Keeps the wall clocks' difference (`wall`) where it fits and packets leave more room than clocks that are set have. */
function withWallClocks(found: LinearDifference, wall: bigint): LinearDifference {
  const apart = found.offset > wall ? found.offset - wall : wall - found.offset;
  return found.ppm === 0 && found.uncertainty > COARSE_NS && apart <= found.uncertainty ? { ...found, offset: wall, uncertainty: found.uncertainty + apart } : found;
}

/** From the second clock to the first. */
const movedBy = ({ at, offset, ppm }: LinearDifference) => (time: Mono): Mono => {
  const plain = time - offset;
  return mono(ppm === 0 ? plain : plain - BigInt(Math.round((Number(plain - at) * ppm) / 1e6)));
};
