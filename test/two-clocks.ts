import assert from 'node:assert/strict';
import { mono } from '../src/base/brand.ts';
import { commonClock, type OnCommonClock } from '../src/app/common-clock.ts';
import { readRecording } from '../src/recording/file.ts';
import type { RawRecord } from '../src/model/record.ts';

/** What test/kernels/guest/two-hosts.py measured: bounds of b's clocks minus a's, first monotonic, then wall clock. */
interface Measured {
  readonly at: readonly [mono: bigint, wall: bigint];
  readonly low: readonly [bigint, bigint];
  readonly high: readonly [bigint, bigint];
}

export function recorded(name: string, bytes: Uint8Array): { readonly name: string; readonly records: readonly RawRecord[]; readonly host: RawRecord & { readonly record: 'host' } } {
  const { records } = readRecording(bytes);
  const host = records.find((r) => r.record === 'host');
  assert.ok(host !== undefined, `${name} has no host`);
  return { name, records, host };
}

/** Holds what merge says of b's clock to what the two hosts themselves measured. Gives the widths of both, ms. */
export function holdsTo(clocks: string, a: Uint8Array, b: Uint8Array): { readonly said: number; readonly measured: number; readonly clock: OnCommonClock } {
  const whole = JSON.parse(clocks.replace(/-?\d+/g, '"$&"')) as { at: string[]; low: string[]; high: string[] }[];
  const measured = whole.map((m) => ({ at: m.at.map(BigInt), low: m.low.map(BigInt), high: m.high.map(BigInt) }) as unknown as Measured);
  const clock = commonClock([recorded('a', a), recorded('b', b)])[1]!;
  assert.ok(clock.how.by === 'packets', JSON.stringify(clock.how, (_, v: unknown) => (typeof v === 'bigint' ? Number(v) : v)));
  const { uncertainty } = clock.how;
  let width = 0;
  for (const { at, low, high } of measured) {
    const onB = at[0] + (low[0] + high[0]) / 2n;
    const said = onB - clock.move(mono(onB));
    assert.ok(said - uncertainty <= high[0] && said + uncertainty >= low[0], `monotonic clocks: ${said} ± ${uncertainty} ns was said, ${low[0]}..${high[0]} was measured`);
    assert.ok(clock.wallAhead - uncertainty <= high[1] && clock.wallAhead + uncertainty >= low[1], `wall clocks: ${clock.wallAhead} ± ${uncertainty} ns was said, ${low[1]}..${high[1]} was measured`);
    width = Math.max(width, Number(high[0] - low[0]) / 2e6);
  }
  return { said: Number(uncertainty) / 1e6, measured: width, clock };
}
