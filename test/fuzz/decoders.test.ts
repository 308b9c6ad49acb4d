import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { corpusOf } from './corpus.ts';
import { fuzzTarget, tryOnce } from './run.ts';
import { TARGETS } from './targets.ts';

/* The short mode of `npm run fuzz`: every decoder, some thousands of inputs each, and all that ever went wrong. */

describe('every decoder: whatever it is given, it ends in time, throws nothing and says no more than it read', () => {
  for (const target of TARGETS)
    test(target.name, () => {
      for (const input of corpusOf(target.name)) assert.equal(tryOnce(target, input, 2000), undefined);
      for (const input of [target.kind === 'bytes' ? new Uint8Array(0) : '', target.kind === 'bytes' ? new Uint8Array(1 << 20).fill(0xff) : 'A'.repeat(1 << 20), target.kind === 'bytes' ? new Uint8Array(1 << 20) : `${'{"a":['.repeat(1 << 14)}`]) assert.equal(tryOnce(target, input, 5000), undefined);
      const { tried, forms, faults } = fuzzTarget({ target, seed: 0x5eed, inputs: 4000, ms: 1500, limit: 5000 });
      assert.deepEqual(faults.map((f) => `${f.what}: ${typeof f.input === 'string' ? JSON.stringify(f.input).slice(0, 600) : Buffer.from(f.input).toString('hex').slice(0, 600)}`), []);
      assert.ok(tried > 50 && forms > 1, `${tried} inputs, ${forms} kinds of answers: the fuzzer tests nothing`);
    });
});

test('the corpus of found bugs belongs to decoders that there are', () => {
  const folder = new URL('../../fixtures/fuzz/', import.meta.url).pathname;
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) assert.ok(TARGETS.some((t) => t.name === name), name);
});
