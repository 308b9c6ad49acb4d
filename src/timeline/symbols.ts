import type { Address } from '../base/brand.ts';
import { address as toAddress } from '../base/brand.ts';
import { parseKallsyms, type Kallsyms } from '../formats/kallsyms.ts';
import type { Place } from '../model/event.ts';

/** A function, or a module's text: `[from, to)`. */
export interface AddressRange {
  readonly from: Address;
  readonly to: Address;
}

/** The names of the kernel's functions. */
export interface Symbols {
  /** `restricted`: the kernel shows no addresses to this user; `empty`: nothing was read. No place has a name then. */
  readonly status: Kallsyms['status'];
  readonly count: number;
  /** The function that an address lies in; without a name when it lies in none. */
  find(address: Address): Place;
  /** For return addresses in stacks: a call that never returns may be its function's last instruction (`%pB`). */
  findReturn(address: Address): Place;
  /** Every function of that name (static functions may share one), by its full name. */
  ranges(name: string): readonly AddressRange[];
  /** From a module's first function to its last one's end. */
  moduleRange(module: string): AddressRange | undefined;
  /** Line of /proc/kallsyms with the size, for recordings; undefined outside every function. */
  line(address: Address): string | undefined;
}

const LOW = 0x1f_ffff_ffff_ffffn; // 53 bits
/** How far the last function before a gap (end of a module, BPF programs) is believed to reach: its size isn't told. */
const LAST_SIZE = 0x4000;
/** Linker symbols that end a section: behind them there is padding, not a function. */
const isEnd = (name: string): boolean => /^(_etext|_einittext|_end|__\w*text_end)$/.test(name);
const isStart = (name: string): boolean => /^(_text|_stext|_sinittext|__\w*text_start)$/.test(name);
/** Places are remembered, up to this many: stacks repeat. */
const REMEMBERED = 50_000;

/** From the full text of /proc/kallsyms, or from the excerpts of a recording (all of them, in one text). */
export function symbolsOf(text: Uint8Array | string): Symbols {
  const table = parseKallsyms(text);
  const { addresses, count } = table;
  const highBits = BigInt(table.high) << 53n;
  const places = new Map<bigint, Place>();

  /** The symbol that a low address belongs to, or -1. */
  const indexOf = (low: number): number => {
    let from = 0, to = count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (addresses[middle]! <= low) from = middle + 1;
      else to = middle;
    }
    const last = from - 1;
    if (last < 0) return -1;
    let first = last;
    while (first > 0 && addresses[first - 1] === addresses[last]) first--;
    // the kernel takes the first alias; a section's own marks stand back behind a function
    let chosen = -1;
    for (let i = first; i <= last; i++) {
      if (table.text[i] === 0) continue;
      const name = table.name(i);
      if (isEnd(name)) continue;
      if (chosen < 0) chosen = i;
      if (!isStart(name)) { chosen = i; break; }
    }
    return chosen >= 0 && low < addresses[chosen]! + sizeOf(chosen, last) ? chosen : -1;
  };

  /** Bytes of a symbol; `last` is the last of its aliases. */
  const sizeOf = (index: number, last: number): number => {
    const given = table.sizes[index]!;
    if (given > 0) return given;
    const next = last + 1;
    if (next >= count) return LAST_SIZE;
    const gap = addresses[next]! - addresses[index]!;
    return table.module[next] === table.module[index] && table.text[next] === 1 ? gap : Math.min(gap, LAST_SIZE);
  };

  const lastAlias = (index: number): number => {
    let last = index;
    while (last + 1 < count && addresses[last + 1] === addresses[index]) last++;
    return last;
  };

  const full = (low: number): Address => toAddress(highBits | BigInt(low));

  const look = (address: Address, within: bigint): Place => {
    if (within >> 53n !== BigInt(table.high) || within < 0n) return { address };
    const low = Number(within & LOW);
    const index = indexOf(low);
    if (index < 0) return { address };
    const place = { address, name: table.name(index), offset: Number((address & LOW) - BigInt(addresses[index]!)) };
    const module = table.module[index]!;
    return module === 0 ? place : { ...place, module: table.modules[module]! };
  };

  const find = (address: Address): Place => {
    let place = places.get(address);
    if (place === undefined) {
      place = look(address, address);
      if (places.size >= REMEMBERED) places.clear();
      places.set(address, place);
    }
    return place;
  };

  return {
    status: table.status,
    count,
    find,
    findReturn(address) {
      const place = find(address);
      return place.offset === 0 || place.name === undefined ? look(address, address - 1n) : place;
    },
    ranges(name) {
      const found: AddressRange[] = [];
      for (let i = 0; i < count; i++) {
        if (table.text[i] === 1 && table.name(i) === name) {
          found.push({ from: full(addresses[i]!), to: full(addresses[i]! + sizeOf(i, lastAlias(i))) });
        }
      }
      return found;
    },
    moduleRange(module) {
      const wanted = table.modules.indexOf(module);
      if (wanted < 1) return undefined;
      let from = -1, to = -1;
      for (let i = 0; i < count; i++) {
        if (table.module[i] !== wanted || table.text[i] === 0) continue;
        if (from < 0) from = addresses[i]!;
        to = addresses[i]! + sizeOf(i, lastAlias(i));
      }
      return from < 0 ? undefined : { from: full(from), to: full(to) };
    },
    line(address) {
      if (table.status === 'restricted') return '0000000000000000 t _text';
      if (address >> 53n !== BigInt(table.high)) return undefined;
      const index = indexOf(Number(address & LOW));
      if (index < 0) return undefined;
      const module = table.module[index]!;
      const start = (highBits | BigInt(addresses[index]!)).toString(16).padStart(16, '0');
      return `${start} 0x${sizeOf(index, lastAlias(index)).toString(16)} t ${table.name(index)}${module === 0 ? '' : `\t[${table.modules[module]}]`}`;
    },
  };
}

/** The excerpt for a SymbolsRecord: what {@link symbolsOf} needs to name these addresses as it does now. Each symbol once. */
export function symbolLines(symbols: Symbols, addresses: Iterable<Address>): string {
  const lines = new Set<string>();
  for (const address of addresses) {
    for (const at of [address, toAddress(address - 1n)]) { // find and findReturn
      const line = symbols.line(at);
      if (line !== undefined) lines.add(line);
    }
  }
  return [...lines].map((line) => `${line}\n`).join('');
}
