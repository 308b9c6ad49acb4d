import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mono, type Mono } from '../../src/base/brand.ts';
import { clockDifference } from '../../src/timeline/clock-difference.ts';
import type { Between, Passages } from '../../src/timeline/passages.ts';

const MS = 1_000_000, S = 1_000_000_000;
type Kind = 'there' | 'back' | 'tracked';
/** A pair of events: at `at` ns of the first host's clock, `underway` ns apart. */
interface Pair { readonly kind: Kind; readonly at: number; readonly underway: number }

/** What two hosts saw whose clocks differ by `offset` ns at 0 and run apart by `ppm`. */
function seen(pairs: readonly Pair[], offset: bigint, ppm = 0): readonly [Passages, Passages] {
  const empty = () => ({ attempts: new Map<string, { began: Mono }>(), dropped: new Map<string, Mono>(), marks: new Map<string, Mono>(), refusals: new Map<string, Mono>(), refused: new Map<string, Mono>(), opened: new Map<string, Between>(), answered: new Map<string, Between>() });
  const first = empty(), second = empty();
  const one = (t: number): Mono => mono(BigInt(Math.round(t)));
  const two = (t: number): Mono => mono(BigInt(Math.round(t + (t * ppm) / 1e6)) + offset);
  pairs.forEach(({ kind, at, underway }, i) => {
    const key = `tcp 10.0.0.1:${i} 10.0.0.2:1`;
    switch (kind) {
      case 'there': first.attempts.set(key, { began: one(at) }); second.dropped.set(key, two(at + underway)); break;
      case 'back': second.attempts.set(key, { began: two(at) }); first.dropped.set(key, one(at + underway)); break;
      case 'tracked': first.opened.set(key, [one(at - 100 * MS), one(at + 300 * MS)]); second.opened.set(key, [two(at + underway - 200 * MS), two(at + underway + 100 * MS)]); break;
    }
  });
  return [first, second];
}
const spanOf = (offset: bigint, length: number): readonly [Mono, Mono] => [mono(offset), mono(offset + BigInt(length))];
const many = (kind: Kind, count: number, length: number, underway: (i: number) => number): Pair[] => Array.from({ length: count }, (_, i) => ({ kind, at: (length * (i + 0.5)) / count, underway: underway(i) }));

test('both directions: the difference within half a round trip, however far apart the clocks are', () => {
  const offset = -1_234_567_890_123_456_789n;
  const found = clockDifference(...seen([...many('there', 9, 10 * S, (i) => (2 + i) * MS), ...many('back', 9, 10 * S, (i) => (1 + i) * MS)], offset), spanOf(offset, 10 * S));
  assert.ok(found.known === 'both-sides' && found.by === 'packets');
  assert.ok(Math.abs(Number(found.difference.offset - offset)) <= 1.5 * MS);
  assert.ok(found.difference.uncertainty >= 1.5 * MS && found.difference.uncertainty < 5 * MS, String(found.difference.uncertainty));
  assert.deepEqual(found.pairs, { there: 9, back: 9, tracked: 0, contradicting: 0 });
});

test('the truth is within the uncertainty, at both ends of the recording, with drift too', () => {
  fc.assert(fc.property(
    fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.integer({ min: -100, max: 100 }), fc.integer({ min: 1, max: 3600 }),
    fc.array(fc.record({ kind: fc.constantFrom<Kind>('there', 'back'), at: fc.double({ min: 0, max: 1, noNaN: true }), underway: fc.integer({ min: 0, max: 50 * MS }) }), { minLength: 2, maxLength: 60 }),
    (offset, ppm, seconds, drawn) => {
      const length = seconds * S;
      const found = clockDifference(...seen(drawn.map((p) => ({ ...p, at: p.at * length })), offset, ppm), spanOf(offset, length));
      if (found.known !== 'both-sides') return drawn.every((p) => p.kind === drawn[0]!.kind);
      assert.equal(found.pairs.contradicting, 0);
      const { difference } = found;
      for (const t of [0, length / 2, length]) {
        const truth = offset + BigInt(Math.round((t * ppm) / 1e6));
        const said = difference.offset + BigInt(Math.round((Number(BigInt(Math.round(t)) - difference.at) * difference.ppm) / 1e6));
        const off = truth > said ? truth - said : said - truth;
        // half a step of the grid of drifts
        assert.ok(off <= difference.uncertainty + BigInt(Math.round((0.5 * length) / 1e6)) + 2n, `${off} ns off, ± ${difference.uncertainty} was said`);
      }
      return true;
    }), { numRuns: 60 });
});

test('a drift that the packets show is named; one that they do not is not', () => {
  const length = 3600 * S;
  const pairs = (n: number): Pair[] => [...many('there', n, length, () => 2 * MS), ...many('back', n, length, () => 2 * MS)];
  const drifting = clockDifference(...seen(pairs(50), 5n, 40), spanOf(5n, length));
  assert.ok(drifting.known === 'both-sides' && Math.abs(drifting.difference.ppm - 40) <= 2);
  assert.ok(drifting.difference.uncertainty < 8 * MS);
  const steady = clockDifference(...seen(pairs(50), 5n), spanOf(5n, length));
  assert.ok(steady.known === 'both-sides' && steady.difference.ppm === 0);
});

test('pairs that lie are outvoted and counted', () => {
  const offset = 37_000_000_000n;
  const lies: Pair[] = [{ kind: 'there', at: 5 * S, underway: -20 * S }, { kind: 'back', at: 6 * S, underway: -3 * S }];
  const found = clockDifference(...seen([...many('there', 6, 10 * S, () => MS), ...many('back', 6, 10 * S, () => MS), ...lies], offset), spanOf(offset, 10 * S));
  assert.ok(found.known === 'both-sides' && found.pairs.contradicting === 2);
  assert.ok(Math.abs(Number(found.difference.offset - offset)) <= found.difference.uncertainty);
});

test('one direction bounds one side, and no more is said; nothing in common is nothing', () => {
  const [first, second] = seen(many('there', 5, 10 * S, (i) => (i + 1) * MS), 1000n);
  const found = clockDifference(first, second, spanOf(0n, 10 * S));
  assert.deepEqual(found, { known: 'one-side', high: 1000n + BigInt(MS), pairs: { there: 5, back: 0, tracked: 0, contradicting: 0 } });
  const back = clockDifference(second, first, spanOf(0n, 10 * S));
  assert.ok(back.known === 'one-side' && back.low === -1000n - BigInt(MS) && back.high === undefined);
  const [, stranger] = seen([], 0n);
  assert.deepEqual(clockDifference(first, stranger, spanOf(0n, S)), { known: 'nothing', pairs: { there: 0, back: 0, tracked: 0, contradicting: 0 } });
  const torn = seen([{ kind: 'there', at: 0, underway: -S }, { kind: 'back', at: 0, underway: 0 }], 0n);
  assert.deepEqual(clockDifference(...torn, spanOf(0n, S)), { known: 'nothing', pairs: { there: 1, back: 1, tracked: 0, contradicting: 2 } });
});

test('connections that both conntracks told of do where packets bound one side only', () => {
  const offset = -37_000_000_000n;
  const pairs = [...many('there', 2, 10 * S, () => 30 * MS), ...many('tracked', 20, 10 * S, (i) => (i - 10) * 8 * MS)];
  const found = clockDifference(...seen(pairs, offset), spanOf(offset, 10 * S));
  assert.ok(found.known === 'both-sides' && found.by === 'conntrack');
  const { difference } = found;
  assert.ok(Math.abs(Number(difference.offset - offset)) <= difference.uncertainty && difference.uncertainty < 700 * MS, String(difference.uncertainty));
});

test('a flood of pairs is answered at once', () => {
  const started = performance.now();
  const found = clockDifference(...seen([...many('there', 60_000, 60 * S, (i) => (1 + (i % 7)) * MS), ...many('back', 60_000, 60 * S, (i) => (1 + (i % 5)) * MS)], 7n), spanOf(7n, 60 * S));
  assert.ok(found.known === 'both-sides' && Math.abs(Number(found.difference.offset - 7n)) <= found.difference.uncertainty);
  assert.ok(performance.now() - started < 5000);
});
