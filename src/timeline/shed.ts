import { countKey } from '../model/counter.ts';
import type { DropEvent } from '../model/event.ts';

/**
 * How many packets a described one stands for: the probe says which one of its counter on its CPU it is (`DROP.nth`), and
 * what lies between two that were described was only counted. A flow that is described because it is new has a budget of its
 * own, so what was counted before it is left to the next one. The first of a recording that begins later stands for itself.
 */
export type Shed = (event: DropEvent, nth: bigint) => number | undefined;

/** Counters times CPUs; a kernel-side map holds 8,192 keys. */
const MOST = 65_536;

export function createShed(): Shed {
  const counters = new Map<string, { nth: number; newcomers: number }>();
  return (event, nth) => {
    if (nth === 0n) return undefined;
    const key = `${event.cpu}|${countKey(event)}`;
    const before = counters.get(key);
    const here = Number(nth);
    if (event.newcomer === true && before !== undefined) {
      before.newcomers += 1;
      return 0;
    }
    if (before === undefined && counters.size >= MOST) counters.clear();
    counters.set(key, { nth: here, newcomers: 0 });
    return before === undefined ? 0 : Math.max(0, here - before.nth - before.newcomers - 1);
  };
}
