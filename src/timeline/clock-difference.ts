import { mono, type Mono } from '../base/brand.ts';
import type { Between, Passages } from './passages.ts';

/** What the packets that two hosts saw say of their clocks. Differences are the second's CLOCK_MONOTONIC minus the first's, ns. */
export type ClockDifference =
  | { readonly known: 'both-sides'; readonly difference: LinearDifference; readonly by: 'packets' | 'conntrack'; readonly pairs: PairCount }
  /** Packets went one way only: the difference is not below `low`, or not above `high`, at the time `at`. */
  | { readonly known: 'one-side'; readonly low?: bigint; readonly high?: bigint; readonly pairs: PairCount }
  | { readonly known: 'nothing'; readonly pairs: PairCount };

export interface LinearDifference {
  /** Of the first clock. */
  readonly at: Mono;
  readonly offset: bigint;
  /** How much the second clock runs faster, parts of a million. 0 where the packets do not tell it from 0. */
  readonly ppm: number;
  /** The true difference is at most so far off, anywhere in `span`. ns. */
  readonly uncertainty: bigint;
}

export interface PairCount {
  /** From the first host to the second, and back. */
  readonly there: number;
  readonly back: number;
  /** Connections that both hosts' conntrack told of. */
  readonly tracked: number;
  /** Of these all, how many do not fit the others. */
  readonly contradicting: number;
}

/** A refusal is sent a moment before the refused packet is dropped: its cause is known only so well. ns. */
const REFUSAL_NS = 200_000;
/** A connection's first packet is seen by both conntracks within so much; which of the two is first is not known. ns. */
const TRACKED_NS = 250_000_000;
/** Two quartz clocks run apart by no more; corrected ones by less. Parts of a million. */
const MOST_PPM = 100;
const PPM_STEP = 1;
/** More bounds than so many are thinned. */
const MOST_BOUNDS = 2000;

/** The difference lies in `[low, high]`, at a time of the first clock; all in ns, from a base. */
interface Bound {
  readonly at: number;
  readonly low: number;
  readonly high: number;
}

/**
 * From packets that both hosts saw. A SYN leaves before it is dropped on the other host, and a refusal is seen after its cause:
 * such a pair bounds the difference from one side, a pair in the other direction from the other. The true difference meets as
 * many bounds as any (Marzullo). Where these bound it on one side only, conntrack's events of the same connections do for both.
 * `span`: the time for which the answer is wanted, of the second clock.
 */
export function clockDifference(first: Passages, second: Passages, span: readonly [from: Mono, to: Mono]): ClockDifference {
  const there = inOrder(first, second), back = inOrder(second, first);
  const tracked = [...both(first.opened, second.opened), ...both(first.answered, second.answered)];
  const base = there[0] !== undefined ? there[0][1] - there[0][0] : tracked[0] !== undefined ? tracked[0][1][1] - tracked[0][0][1] : back[0] === undefined ? 0n : back[0][0] - back[0][1];
  const middle = (span[0] + span[1]) / 2n - base;
  const near = (t: bigint): number => Number(t - middle);
  const bounds: Bound[] = [
    ...there.map(([x, y]) => ({ at: near(x), low: -Infinity, high: Number(y - x - base) })),
    ...back.map(([x, y]) => ({ at: near(y), low: Number(x - y - base), high: Infinity })),
  ];
  const ends = [near(span[0] - base), near(span[1] - base)] as const;
  const count = { there: there.length, back: back.length, tracked: tracked.length };
  const fitted = fit(thinned(bounds), ends);
  const answer = (f: Fitted, by: 'packets' | 'conntrack'): ClockDifference => ({
    known: 'both-sides', by, pairs: { ...count, contradicting: f.contradicting },
    difference: { at: mono(middle), offset: base + BigInt(Math.round((f.low + f.high) / 2)), ppm: f.ppm, uncertainty: BigInt(Math.ceil(f.uncertainty) + REFUSAL_NS) },
  });
  if (fitted !== undefined && Number.isFinite(fitted.low) && Number.isFinite(fitted.high)) return answer(fitted, 'packets');
  if (tracked.length > 0) {
    const soft = tracked.map(([x, y]): Bound => ({ at: near(x[1]), low: Number(y[0] - x[1] - base) - TRACKED_NS, high: Number(y[1] - x[0] - base) + TRACKED_NS }));
    const within = fit(thinned([...soft, ...bounds]), ends);
    if (within !== undefined && Number.isFinite(within.low) && Number.isFinite(within.high)) return answer(within, 'conntrack');
  }
  if (fitted === undefined) return { known: 'nothing', pairs: { ...count, contradicting: bounds.length } };
  return { known: 'one-side', ...(Number.isFinite(fitted.low) ? { low: base + BigInt(Math.floor(fitted.low)) } : {}), ...(Number.isFinite(fitted.high) ? { high: base + BigInt(Math.ceil(fitted.high)) } : {}), pairs: { ...count, contradicting: fitted.contradicting } };
}

/** Pairs of times: what happened on `from` at the one was before what happened on `to` at the other. */
function inOrder(from: Passages, to: Passages): (readonly [before: Mono, after: Mono])[] {
  const pairs: (readonly [Mono, Mono])[] = [];
  for (const [key, attempt] of from.attempts) {
    const seen = to.dropped.get(key);
    if (attempt !== undefined && seen !== undefined) pairs.push([attempt.began, seen]);
  }
  for (const [key, time] of from.dropped) {
    const refused = to.refused.get(key);
    // of a port that was used twice the first drop may belong to one use, the first error to the other
    if (refused !== undefined && !(to.attempts.has(key) && to.attempts.get(key) === undefined)) pairs.push([time, refused]);
  }
  for (const [mark, time] of from.marks) {
    const seen = to.refusals.get(mark);
    if (time !== undefined && seen !== undefined) pairs.push([time, seen]);
  }
  return pairs;
}

function both(a: Passages['opened'], b: Passages['opened']): (readonly [Between, Between])[] {
  const pairs: (readonly [Between, Between])[] = [];
  for (const [key, x] of a) {
    const y = b.get(key);
    if (x !== undefined && y !== undefined) pairs.push([x, y]);
  }
  return pairs;
}

function thinned(bounds: readonly Bound[]): readonly Bound[] {
  if (bounds.length <= MOST_BOUNDS) return bounds;
  const step = bounds.length / MOST_BOUNDS;
  return Array.from({ length: MOST_BOUNDS }, (_, i) => bounds[Math.floor(i * step)]!);
}

interface Fitted {
  /** At 0, with the drift `ppm`. */
  readonly low: number;
  readonly high: number;
  readonly ppm: number;
  readonly uncertainty: number;
  readonly contradicting: number;
}

/** The range that meets most bounds, under the drift that meets most; the smallest such drift. Undefined without any bound, or when half of them say the opposite. */
function fit(bounds: readonly Bound[], ends: readonly [number, number]): Fitted | undefined {
  if (bounds.length === 0) return undefined;
  let best: (Range & { readonly ppm: number })[] = [];
  for (let ppm = -MOST_PPM; ppm <= MOST_PPM; ppm += PPM_STEP) {
    const range = mostMet(bounds, ppm);
    if (range.met > (best[0]?.met ?? 0)) best = [];
    if (range.met >= (best[0]?.met ?? 0)) best.push({ ...range, ppm });
  }
  const [chosen] = best.toSorted((a, b) => Math.abs(a.ppm) - Math.abs(b.ppm));
  if (chosen === undefined || chosen.met * 2 <= bounds.length || (chosen.low === -Infinity && chosen.high === Infinity)) return undefined;
  const middle = (chosen.low + chosen.high) / 2;
  let uncertainty = 0;
  for (const { low, high, ppm } of best) for (const t of ends) {
    const drifted = ((ppm - chosen.ppm) * t) / 1e6;
    uncertainty = Math.max(uncertainty, Math.abs(low + drifted - middle), Math.abs(high + drifted - middle));
  }
  return { low: chosen.low, high: chosen.high, ppm: chosen.ppm, uncertainty, contradicting: bounds.length - chosen.met };
}

interface Range {
  readonly low: number;
  readonly high: number;
  readonly met: number;
}

/** Where most of the ranges overlap; from the first such place to the last, if there are several. */
function mostMet(bounds: readonly Bound[], ppm: number): Range {
  const lows = bounds.map((b) => b.low - (ppm * b.at) / 1e6).sort((a, b) => a - b);
  const highs = bounds.map((b) => b.high - (ppm * b.at) / 1e6).sort((a, b) => a - b);
  let met = 0, most = 0, low = -Infinity, high = Infinity;
  for (let i = 0, j = 0; j < highs.length; ) {
    if (i < lows.length && lows[i]! <= highs[j]!) {
      met += 1;
      if (met > most) [most, low] = [met, lows[i]!];
      i += 1;
    } else {
      if (met === most) high = highs[j]!;
      met -= 1;
      j += 1;
    }
  }
  return { low, high, met: most };
}
