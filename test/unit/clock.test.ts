import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchClock } from '../../src/app/clock.ts';
import { mono } from '../../src/base/brand.ts';

const HOUR = 3_600_000_000_000n;

test('a stepped wall clock is told once a step, with how far it is off; small differences of reading are none', () => {
  const begun = 1_795_387_740_024_500_000n;
  let offset = begun;
  const look = watchClock(begun, () => offset);
  const said = (): string | undefined => look(mono(5n))?.text;
  offset = begun + 30_000_000n;
  assert.equal(said(), undefined);
  offset = begun + HOUR;
  assert.match(said() ?? '', /^the wall clock was stepped: from here on it is 3600\.0 s ahead of the times that are shown/);
  assert.equal(said(), undefined);
  offset = begun - HOUR;
  assert.match(said() ?? '', /it is 3600\.0 s behind the times/);
  offset = begun + 2_000_000n;
  assert.match(said() ?? '', /agree with it again/);
  assert.equal(said(), undefined);
});
