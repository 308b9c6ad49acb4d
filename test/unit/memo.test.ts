import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemo } from '../../src/diagnose/memo.ts';

test('what was learned outlives any number of parsed listings', () => {
  const memo = createMemo(10, 100_000);
  memo.set('learned', 'this');
  for (let i = 0; i < 1_000; i++) memo.set(`listing ${i}`, { i }, 50_000);
  assert.equal(memo.get('learned'), 'this');
  assert.deepEqual([998, 999, 997].map((i) => memo.get(`listing ${i}`)), [{ i: 998 }, { i: 999 }, undefined]);
});

test('small values go by their number, the least lately used first; one that is too heavy alone is kept until the next', () => {
  const memo = createMemo(2, 100_000);
  memo.set('a', 1);
  memo.set('b', 2);
  assert.equal(memo.get('a'), 1);
  memo.set('c', 3);
  assert.deepEqual(['a', 'b', 'c'].map((k) => memo.get(k)), [1, undefined, 3]);
  memo.set('huge', {}, 1_000_000);
  assert.ok(memo.get('huge'));
  memo.set('next', {}, 5_000);
  assert.deepEqual(['huge', 'next'].map((k) => memo.get(k)), [undefined, {}]);
  memo.set('next', 'small now');
  memo.set('other', {}, 99_000);
  assert.equal(memo.get('next'), 'small now');
  memo.delete('other');
  assert.equal(memo.get('other'), undefined);
});
