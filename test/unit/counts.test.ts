import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counts } from '../../src/diagnose/counts.ts';
import type { Growing } from '../../src/diagnose/incidents.ts';

const incident = (...signs: readonly { readonly seen: number; readonly standing: number }[]): Growing => ({ signs: signs.map((s) => ({ ...s, bytes: s.seen * 100, countKey: 'k' })) }) as unknown as Growing;
const exact = (count: number, bytes: number) => (): { count: number; bytes: number } => ({ count, bytes });

test('one incident has its counter whole', () => {
  assert.deepEqual(counts(incident({ seen: 70, standing: 64 }), new Map([['k', { seen: 70, standing: 64 }]]), exact(1_000_000, 60_000_000)), { count: 1_000_000, bytes: 60_000_000 });
});

test('a quiet flow beside a flood has its own packets, not a share of the flood', () => {
  const samples = new Map([['k', { seen: 290, standing: 270 }]]);
  const total = exact(1_000_000, 1_000_000_00);
  assert.deepEqual(counts(incident({ seen: 6, standing: 0 }), samples, total), { count: 6, bytes: 600 });
  assert.deepEqual(counts(incident({ seen: 284, standing: 270 }), samples, total), { count: 999_994, bytes: 99_999_400 });
});

test('flows that share the budget share what was only counted', () => {
  const samples = new Map([['k', { seen: 100, standing: 100 }]]);
  const parts = [75, 25].map((n) => counts(incident({ seen: n, standing: n }), samples, exact(10_000, 0)).count);
  assert.deepEqual(parts, [7500, 2500]);
  // none stands for others (the budget was spent before this recording began): by what was seen
  assert.equal(counts(incident({ seen: 5, standing: 0 }), new Map([['k', { seen: 10, standing: 0 }]]), exact(1000, 0)).count, 500);
});

test('never less than what was seen, never nothing', () => {
  assert.equal(counts(incident({ seen: 9, standing: 9 }), new Map([['k', { seen: 9, standing: 9 }]]), exact(3, 0)).count, 9);
  assert.equal(counts(incident(), new Map(), () => undefined).count, 1);
});
