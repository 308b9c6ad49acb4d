/**
 * /proc/kallsyms: `ffffffff97839ee0 T nf_hook_slow` lines, with `\t[module]` where it is one (kernel/kallsyms.c).
 * Excerpts in recordings have the symbol's size as a second word with `0x`: `ffffffff97839ee0 0x1a0 T nf_hook_slow`.
 */
export interface Kallsyms {
  /** `restricted`: every address is zero (kernel.kptr_restrict, no CAP_SYSLOG). */
  readonly status: 'ok' | 'restricted' | 'empty';
  /** Lines that were no symbols. */
  readonly skipped: number;
  readonly count: number;
  /** Low 53 bits of each address, ascending; aliases in the order of the file. */
  readonly addresses: Float64Array;
  /** High 11 bits, the same for all: symbols elsewhere (absolute, per-CPU) are left out. */
  readonly high: number;
  /** Given sizes, 0 where there is none. */
  readonly sizes: Uint32Array;
  /** 1 for functions (types t, T, w, W, i), 0 for everything else: it only bounds them. */
  readonly text: Uint8Array;
  /** Index into `modules`, 0 for the kernel itself. */
  readonly module: Uint16Array;
  readonly modules: readonly string[];
  name(index: number): string;
}

const latin1 = new TextDecoder('latin1');
const NEWLINE = 10, TAB = 9, SPACE = 32, OPEN = 91, CLOSE = 93;
/** Value of a hex digit by character code, 255 for others. */
export const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  HEX[i.toString(16).charCodeAt(0)] = i;
  HEX[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

/** Decodes the whole file (5 MB, 120,000 lines) in some 10 ms. Malformed lines are counted and left out. */
export function parseKallsyms(input: Uint8Array | string): Kallsyms {
  const b = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  let room = Math.max(16, Math.ceil(b.length / 40));
  let addresses = new Float64Array(room), sizes = new Uint32Array(room), names = new Uint32Array(room), text = new Uint8Array(room), module = new Uint16Array(room);
  const modules = [''];
  const moduleIndex = new Map<string, number>();
  let lastStart = 0, lastEnd = 0, lastModule = 0; // the module of the line before: nearly always the same
  let count = 0, skipped = 0, zero = 0, high = -1, sorted = true;
  let at = 0;
  while (at < b.length) {
    let hi = 0, lo = 0, digits = 0;
    for (let d; (d = HEX[b[at]!]!) !== 255 && at < b.length; at++, digits++) {
      hi = ((hi << 4) | (lo >>> 28)) >>> 0;
      lo = ((lo << 4) | d) >>> 0;
    }
    let good = digits > 0 && digits <= 16 && b[at] === SPACE;
    let size = 0, type = 0, nameStart = 0, mod = 0;
    if (good) {
      at++;
      if (b[at] === 48 && b[at + 1] === 120) {
        at += 2;
        for (let d; (d = HEX[b[at]!]!) !== 255 && at < b.length; at++) size = ((size << 4) | d) >>> 0;
        if (b[at] === SPACE) at++;
        else good = false;
      }
    }
    if (good) {
      type = b[at]! | 32;
      good = b[at + 1] === SPACE && b[at] !== NEWLINE;
    }
    if (good) {
      at += 2;
      nameStart = at;
      while (at < b.length && b[at]! > SPACE) at++;
      good &&= at > nameStart;
      while (b[at] === SPACE || b[at] === TAB) at++;
      if (b[at] === OPEN) {
        const from = ++at;
        while (at < b.length && b[at] !== CLOSE && b[at] !== NEWLINE) at++;
        if (!sameBytes(b, from, at, lastStart, lastEnd)) {
          const name = latin1.decode(b.subarray(from, at));
          lastStart = from;
          lastEnd = at;
          lastModule = moduleIndex.get(name) ?? modules.length;
          if (lastModule === modules.length && lastModule < 0xffff) {
            modules.push(name);
            moduleIndex.set(name, lastModule);
          }
        }
        mod = Math.min(lastModule, modules.length - 1);
      }
    }
    while (at < b.length && b[at] !== NEWLINE) at++;
    at++;
    if (!good) {
      skipped++;
      continue;
    }
    const isText = type === 116 /* t */ || type === 119 /* w */ || type === 105 /* i */;
    if (type === 97 /* absolute, per-CPU */) continue;
    if (hi === 0 && lo === 0) {
      zero++;
      continue;
    }
    if (high < 0) high = hi >>> 21;
    else if (hi >>> 21 !== high) continue;
    if (count === room) {
      room *= 2;
      addresses = grown(addresses, new Float64Array(room));
      sizes = grown(sizes, new Uint32Array(room));
      names = grown(names, new Uint32Array(room));
      text = grown(text, new Uint8Array(room));
      module = grown(module, new Uint16Array(room));
    }
    const value = (hi & 0x1fffff) * 0x1_0000_0000 + lo;
    if (count > 0 && value < addresses[count - 1]!) sorted = false;
    addresses[count] = value;
    sizes[count] = size;
    names[count] = nameStart;
    text[count] = isText ? 1 : 0;
    module[count] = mod;
    count++;
  }
  if (!sorted) {
    const order = new Uint32Array(count).map((_, i) => i);
    const from = addresses;
    order.sort((x, y) => from[x]! - from[y]! || x - y);
    addresses = picked(order, addresses, new Float64Array(count));
    sizes = picked(order, sizes, new Uint32Array(count));
    names = picked(order, names, new Uint32Array(count));
    text = picked(order, text, new Uint8Array(count));
    module = picked(order, module, new Uint16Array(count));
  }
  return {
    status: count > 0 ? 'ok' : zero > 0 ? 'restricted' : 'empty',
    skipped, count, high: Math.max(high, 0), modules,
    addresses: addresses.subarray(0, count), sizes: sizes.subarray(0, count), text: text.subarray(0, count), module: module.subarray(0, count),
    name(index) {
      const start = names[index];
      if (start === undefined || index >= count) return '';
      let end = start;
      while (end < b.length && b[end]! > SPACE) end++;
      return latin1.decode(b.subarray(start, end));
    },
  };
}

function sameBytes(b: Uint8Array, from: number, to: number, otherFrom: number, otherTo: number): boolean {
  if (to - from !== otherTo - otherFrom || otherTo === otherFrom) return false;
  for (let i = 0; i < to - from; i++) if (b[from + i] !== b[otherFrom + i]) return false;
  return true;
}

type Column = Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

function grown<T extends Column>(from: T, to: T): T {
  to.set(from);
  return to;
}

function picked<T extends Column>(order: Uint32Array, from: T, to: T): T {
  for (let i = 0; i < order.length; i++) to[i] = from[order[i]!]!;
  return to;
}

/** Where the functions of these names lie: each up to the next symbol, `[from, to)`. One pass. */
export function functionRanges(table: Kallsyms, names: ReadonlySet<string>): readonly { readonly from: bigint; readonly to: bigint }[] {
  const found: { readonly from: bigint; readonly to: bigint }[] = [];
  const high = BigInt(table.high) << 53n;
  for (let i = 0; i < table.count; i++) {
    if (table.text[i] === 0 || !names.has(table.name(i))) continue;
    const from = table.addresses[i]!;
    let next = i + 1;
    while (next < table.count && table.addresses[next] === from) next++;
    const size = table.sizes[i]! || (next < table.count && table.module[next] === table.module[i] ? table.addresses[next]! - from : 0);
    if (size > 0) found.push({ from: high | BigInt(from), to: high | BigInt(from + size) });
  }
  return found;
}
