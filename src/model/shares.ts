import type { DropEvent } from './event.ts';

/**
 * Whose the packets are that a counter counted and nobody described, where several (rules, flows, incidents) share the
 * counter. A CPU that has spent its budget describes one packet every so often: what it counts until then is taken for
 * the same owner's as the one that spent the budget. Recordings from before 2026-11-23 do not tell how many lie between two: all
 * is divided by how many were described, without those that were because their flow was new.
 */
export interface Shares<T> {
  /** How many were described. */
  readonly seen: number;
  /** One that was described; in order of time on each CPU. */
  add(drop: Pick<DropEvent, 'cpu' | 'shed' | 'spent' | 'newcomer'>, owner: T): void;
  /** Divides so many that were only counted; the parts, which may be fractions, add up to them. Empty when none was described. */
  divide(counted: number): ReadonlyMap<T, number>;
}

interface Share {
  seen: number;
  /** Of the described, those that were not only because their flow was new. */
  regular: number;
  shed: number;
}

interface Last<T> {
  readonly owner: T;
  readonly spent: boolean;
}

export function createShares<T>(): Shares<T> {
  const shares = new Map<T, Share>();
  const lastOf = new Map<number, Last<T>>();
  const divided = { counted: -1, parts: new Map<T, number>() };
  let seen = 0, told = false, known = 0;

  const shareOf = (owner: T): Share => {
    const share = shares.get(owner) ?? { seen: 0, regular: 0, shed: 0 };
    if (share.seen === 0) shares.set(owner, share);
    return share;
  };
  /** What came since the last description on each CPU: by how much lies behind one of its owner's on average. */
  const tail = (): ReadonlyMap<T, number> => {
    const weights = new Map<T, number>();
    for (const { owner, spent } of lastOf.values()) {
      if (!spent) continue;
      const { shed, regular } = shareOf(owner);
      weights.set(owner, (weights.get(owner) ?? 0) + 1 + shed / regular);
    }
    return weights.size > 0 ? weights : by((s) => s.regular);
  };
  const by = (weight: (s: Share) => number): ReadonlyMap<T, number> => {
    const weights = new Map([...shares].map(([owner, share]) => [owner, weight(share)]));
    return sum(weights) > 0 ? weights : new Map([...shares].map(([owner, share]) => [owner, share.seen]));
  };

  return {
    get seen() {
      return seen;
    },
    add: ({ cpu, shed, spent, newcomer }, owner) => {
      divided.counted = -1;
      seen += 1;
      const own = shareOf(owner);
      own.seen += 1;
      if (newcomer === true) return;
      own.regular += 1;
      if (shed === undefined) return;
      told = true;
      const last = lastOf.get(cpu);
      shareOf(last?.owner ?? owner).shed += shed;
      known += shed;
      lastOf.set(cpu, { owner, spent: spent === true });
    },
    divide: (counted) => {
      if (divided.counted === counted) return divided.parts;
      const parts = new Map<T, number>();
      const give = (count: number, weights: ReadonlyMap<T, number>): void => {
        const all = sum(weights);
        if (count > 0 && all > 0) for (const [owner, weight] of weights) parts.set(owner, (parts.get(owner) ?? 0) + (count * weight) / all);
      };
      const sure = Math.min(counted, known);
      give(sure, new Map([...shares].map(([owner, share]) => [owner, share.shed])));
      give(counted - sure, told ? tail() : by((s) => s.regular));
      divided.counted = counted;
      divided.parts = parts;
      return parts;
    },
  };
}

function sum(weights: ReadonlyMap<unknown, number>): number {
  let all = 0;
  for (const weight of weights.values()) all += weight;
  return all;
}
