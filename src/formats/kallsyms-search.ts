import { HEX, parseKallsyms, type Kallsyms } from './kallsyms.ts';

/**
 * The symbols around one address of a whole /proc/kallsyms, found without reading the rest. The kernel prints its own
 * symbols by address (kernel/kallsyms.c searches them by that order, too), then those of modules, ftrace and BPF programs,
 * each with its `[module]`: the former, 98 of 100 lines, are searched where they stand, the latter are parsed.
 */
export interface KallsymsSearch {
  readonly high: number;
  /** A table that names an address (its low 53 bits) as {@link parseKallsyms} of the whole text does. */
  around(low: number): Kallsyms;
  /** Symbols of the whole text: reads it. */
  count(): number;
}

const NEWLINE = 10, SPACE = 32, ABSOLUTE = 97;
const MODULE = new Uint8Array([9, 91]); // `\t[`
/** Shorter texts are parsed: they are excerpts, in any order. */
const SHORT = 1 << 18;
/** Bytes between the places where the order is looked at. */
const STRIDE = 1 << 12;

/** Undefined for text that is not as the kernel prints it whole (an excerpt, in another order, without addresses): parse that. */
export function searchKallsyms(b: Uint8Array): KallsymsSearch | undefined {
  if (b.length < SHORT) return undefined;
  const lineAt = (at: number): number => (at <= 0 ? 0 : b.lastIndexOf(NEWLINE, at - 1) + 1);
  const lineAfter = (at: number): number => b.indexOf(NEWLINE, at) + 1 || b.length;

  const firstModule = Buffer.from(b.buffer, b.byteOffset, b.length).indexOf(MODULE);
  const end = firstModule < 0 ? b.length : lineAt(firstModule);
  let high: number | undefined;
  /** The low address of the line's symbol; -1 where the line has none, or one that is no place in the kernel's text. */
  const lowOf = (at: number): number => {
    let hi = 0, lo = 0;
    for (let i = 0; i < 16; i++) {
      const digit = HEX[b[at + i]!]!;
      if (digit === 255) return -1;
      if (i < 8) hi = ((hi << 4) | digit) >>> 0;
      else lo = ((lo << 4) | digit) >>> 0;
    }
    if (b[at + 16] !== SPACE || b[at + 18] !== SPACE || (b[at + 17]! | 32) === ABSOLUTE || (hi === 0 && lo === 0)) return -1;
    high ??= hi >>> 21;
    return hi >>> 21 === high ? (hi & 0x1fffff) * 0x1_0000_0000 + lo : -1;
  };
  const next = (from: number, to: number): number => {
    for (let at = from; at < to; at = lineAfter(at)) if (lowOf(at) >= 0) return at;
    return -1;
  };
  const previous = (of: number): number => {
    for (let at = of; at > 0; ) {
      at = lineAt(at - 1);
      if (lowOf(at) >= 0) return at;
    }
    return -1;
  };
  const firstAlias = (of: number): number => {
    let first = of;
    for (let at = previous(first); at >= 0 && lowOf(at) === lowOf(of); at = previous(at)) first = at;
    return first;
  };

  const last = previous(end); // sets `high`
  const first = next(0, end);
  if (last < 0 || first < 0) return undefined;
  let before = 0;
  for (let at = first; at >= 0 && at < end; at = next(lineAt(Math.max(at + STRIDE, 0)), end)) {
    if (lowOf(at) < before) return undefined;
    before = lowOf(at);
  }
  const lastLow = lowOf(last);
  if (lastLow < before) return undefined;
  // the bounds of the kernel's own, for what lies outside of them
  const outside = parseKallsyms(Buffer.concat([b.subarray(first, lineAfter(first)), b.subarray(firstAlias(last))]));
  if (outside.addresses.some((low, i) => outside.module[i] !== 0 && low >= lowOf(first) && low <= lastLow)) return undefined;

  return {
    high: high ?? 0,
    around: (low) => {
      let found = -1;
      for (let from = 0, to = end; from < to; ) {
        const middle = lineAt((from + to) >>> 1);
        const symbol = next(Math.max(middle, from), to);
        if (symbol >= 0 && lowOf(symbol) <= low) {
          found = symbol;
          from = lineAfter(symbol);
        } else to = Math.max(middle, from);
      }
      if (found < 0 || lowOf(found) >= lastLow) return outside;
      let behind = found; // where the next function begins tells the size of this
      do behind = next(lineAfter(behind), end);
      while (behind >= 0 && lowOf(behind) === lowOf(found));
      return parseKallsyms(b.subarray(firstAlias(found), behind < 0 ? end : lineAfter(behind)));
    },
    count: () => parseKallsyms(b).count,
  };
}
