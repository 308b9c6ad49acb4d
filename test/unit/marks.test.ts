import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ListedIncident } from '../../src/views/web/protocol.ts';
import { marksOf, NARROWEST } from '../../web/marks.ts';

const START = Date.parse('2026-11-22T23:54:00.000Z');
const incident = (id: number, first: number, length: number): ListedIncident => ({ id: `i${id}`, first: new Date(START + first).toISOString(), last: new Date(START + first + length).toISOString() }) as unknown as ListedIncident;

test('marks on the time line never lie upon each other, on a phone or a desk, and every incident has one', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(60_000), fc.nat(20_000)), { minLength: 1, maxLength: 200 }), fc.constantFrom(270, 620, 900), (times, pixels) => {
    const incidents = times.map(([first, length], i) => incident(i, first, length));
    const marks = marksOf(incidents, START / 1000, START / 1000 + 60, pixels);
    assert.deepEqual(marks.flatMap((k) => k.incidents.map((i) => i.id)).sort(), incidents.map((i) => i.id).sort());
    for (const [n, a] of marks.entries()) {
      assert.ok(a.width * pixels >= NARROWEST - 0.01 && a.left >= 0 && a.left <= 1);
      for (const b of marks.slice(n + 1)) if (a.lane === b.lane) assert.ok(a.left + a.width <= b.left + 1e-9 || b.left + b.width <= a.left + 1e-9, `${JSON.stringify(a)} and ${JSON.stringify(b)}`);
    }
  }), { numRuns: 60 });
});

test('the worst have a mark of their own, those without room are told together', () => {
  const incidents = Array.from({ length: 60 }, (_, i) => incident(i, 1000 * (i % 20), 15_000));
  const marks = marksOf(incidents, START / 1000, START / 1000 + 60, 900);
  assert.deepEqual(marks.slice(0, 2).map((k) => k.incidents.map((i) => i.id)), [['i0'], ['i1']]);
  const together = marks.filter((k) => k.incidents.length > 1);
  assert.equal(together.length, 1);
  assert.equal(Math.max(...marks.map((k) => k.lane)), together[0]!.lane);
});
