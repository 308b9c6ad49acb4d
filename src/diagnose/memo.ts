import type { Memo } from '../model/evidence.ts';

/** What weighs less is kept by number: what a verdict learned, small listings. What weighs more is kept by weight. */
const LARGE = 4_096;

/**
 * Remembers what was used most lately: `small` values whatever they are, and of large ones (parsed listings; `weight` is
 * the length of the text that they were parsed from) as many as weigh `heavy` in sum, at least the newest.
 */
export function createMemo(small: number, heavy: number): Memo {
  const few = new Map<string, { readonly value: unknown; readonly weight: number }>();
  const large: typeof few = new Map();
  let weighs = 0;
  const drop = (key: string): void => {
    few.delete(key);
    weighs -= large.get(key)?.weight ?? 0;
    large.delete(key);
  };
  return {
    get: (key) => {
      const map = few.has(key) ? few : large;
      const entry = map.get(key);
      if (entry === undefined) return undefined;
      map.delete(key);
      map.set(key, entry);
      return entry.value;
    },
    set: (key, value, weight = 0) => {
      drop(key);
      if (weight < LARGE) {
        few.set(key, { value, weight });
        if (few.size > small) drop(few.keys().next().value as string);
        return;
      }
      large.set(key, { value, weight });
      weighs += weight;
      while (weighs > heavy && large.size > 1) drop(large.keys().next().value as string);
    },
    delete: drop,
  };
}
