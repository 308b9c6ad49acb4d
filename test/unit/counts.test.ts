import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { counts } from '../../src/diagnose/counts.ts';
import type { Growing } from '../../src/diagnose/incidents.ts';
import { createShares, type Shares } from '../../src/model/shares.ts';

type Sample = Parameters<Shares<string>['add']>[0];
const sharesOf = (...samples: readonly (readonly [key: string, sample: Sample])[]): ReadonlyMap<string, Shares<string>> => {
  const shares = createShares<string>();
  for (const [key, sample] of samples) shares.add(sample, key);
  return new Map([['k', shares]]);
};
const times = (n: number, key: string, sample: Sample): readonly (readonly [string, Sample])[] => Array.from({ length: n }, () => [key, sample] as const);
const incident = (...signs: readonly { readonly key: string; readonly seen: number; readonly length?: number }[]): Growing =>
  ({ signs: signs.map((s) => ({ ...s, bytes: s.seen * (s.length ?? 100), countKey: 'k' })) }) as unknown as Growing;
const exact = (count: number, bytes: number) => (): { count: number; bytes: number } => ({ count, bytes });

test('one incident has its counter whole', () => {
  assert.deepEqual(counts(incident({ key: 'a', seen: 70 }), sharesOf(...times(70, 'a', { cpu: 0 })), exact(1_000_000, 60_000_000)), { count: 1_000_000, bytes: 60_000_000 });
});

test('a quiet flow beside a flood has its own packets, not a share of the flood', () => {
  const shares = sharesOf(...times(270, 'flood', { cpu: 0 }), ...times(14, 'flood', { cpu: 0, newcomer: true }), ...times(6, 'quiet', { cpu: 0, newcomer: true }));
  const total = exact(1_000_000, 1_000_000_00);
  assert.deepEqual(counts(incident({ key: 'quiet', seen: 6 }), shares, total), { count: 6, bytes: 600 });
  assert.deepEqual(counts(incident({ key: 'flood', seen: 284 }), shares, total), { count: 999_994, bytes: 99_999_400 });
});

test('two floods of one counter, and a burst after them: each has what lies behind its own packets', () => {
  const described: Sample = { cpu: 0, shed: 0 };
  const shares = sharesOf(
    ...times(63, 'a', described), ['a', { cpu: 0, shed: 0, spent: true }],
    ['a', { cpu: 0, shed: 3_000, spent: true }], ['a', { cpu: 0, shed: 2_000, spent: true }],
    // after the end of the first: what was counted before this one was still the first's
    ['burst', { cpu: 0, shed: 800, spent: true }], ['burst', { cpu: 0, shed: 18, spent: true }],
    // the other CPU has budget left: nothing of what nobody described was its own
    ...times(20, 'b', { cpu: 1, shed: 0 }),
  );
  const total = exact(66 + 5_800 + 2 + 18 + 20 + 18, 0);
  assert.equal(counts(incident({ key: 'a', seen: 66 }), shares, total).count, 66 + 5_800);
  assert.equal(counts(incident({ key: 'burst', seen: 2 }), shares, total).count, 2 + 18 + 18, 'with those after the last that was described');
  assert.equal(counts(incident({ key: 'b', seen: 20 }), shares, total).count, 20);
});

test('a packet that was described because its flow is new takes nothing from the flood around it', () => {
  const shares = sharesOf(['flood', { cpu: 0, shed: 0, spent: true }], ['quiet', { cpu: 0, shed: 0, newcomer: true }], ['flood', { cpu: 0, shed: 500, spent: true }]);
  assert.equal(counts(incident({ key: 'quiet', seen: 1 }), shares, exact(503, 0)).count, 1);
  assert.equal(counts(incident({ key: 'flood', seen: 2 }), shares, exact(503, 0)).count, 502);
});

test('the bytes of what was only counted are those of the incident\'s own packets', () => {
  const shares = sharesOf(['small', { cpu: 0, shed: 0, spent: true }], ['large', { cpu: 1, shed: 0, spent: true }], ['small', { cpu: 0, shed: 98, spent: true }], ['large', { cpu: 1, shed: 98, spent: true }]);
  const total = exact(200, 100 * 60 + 100 * 1500);
  assert.deepEqual(['small', 'large'].map((key) => counts(incident({ key, seen: 2, length: key === 'small' ? 60 : 1500 }), shares, total)), [{ count: 100, bytes: 6_000 }, { count: 100, bytes: 150_000 }]);
});

test('flows that share the budget share what was only counted', () => {
  const shares = sharesOf(...times(75, 'a', { cpu: 0 }), ...times(25, 'b', { cpu: 0 }));
  assert.deepEqual([counts(incident({ key: 'a', seen: 75 }), shares, exact(10_000, 0)).count, counts(incident({ key: 'b', seen: 25 }), shares, exact(10_000, 0)).count], [7500, 2500]);
  // none stands for others (the budget was spent before this recording began): by what was seen
  assert.equal(counts(incident({ key: 'a', seen: 5 }), sharesOf(...times(5, 'a', { cpu: 0, newcomer: true }), ...times(5, 'b', { cpu: 0, newcomer: true })), exact(1000, 0)).count, 500);
});

test('never less than what was seen, never nothing', () => {
  assert.equal(counts(incident({ key: 'a', seen: 9 }), sharesOf(...times(9, 'a', { cpu: 0 })), exact(3, 0)).count, 9);
  assert.equal(counts(incident(), new Map(), () => undefined).count, 1);
});

test('whatever comes, the parts add up to the counter', () => {
  const sample = fc.record({ cpu: fc.nat(3), shed: fc.option(fc.nat(5_000), { nil: undefined }), spent: fc.constantFrom(true, undefined), newcomer: fc.constantFrom(true, undefined), owner: fc.constantFrom('a', 'b', 'c') });
  fc.assert(fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), fc.nat(1_000_000), (samples, counted) => {
    const shares = createShares<string>();
    for (const { owner, ...s } of samples) shares.add(s as Sample, owner);
    const parts = [...shares.divide(counted).values()];
    assert.ok(parts.every((p) => p >= 0));
    assert.ok(Math.abs(parts.reduce((a, b) => a + b, 0) - counted) < 1e-3 * Math.max(1, counted));
  }));
});
