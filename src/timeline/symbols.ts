import type { Address } from '../base/brand.ts';
import { address as toAddress } from '../base/brand.ts';
import { searchKallsyms } from '../formats/kallsyms-search.ts';
import { parseKallsyms, type Kallsyms } from '../formats/kallsyms.ts';
import type { Place } from '../model/event.ts';

/** The names of the kernel's functions. */
export interface Symbols {
  /** `restricted`: the kernel shows no addresses to this user; `empty`: nothing was read. No place has a name then. */
  readonly status: Kallsyms['status'];
  /** Of all symbols: may read all of them. */
  count(): number;
  /** The function that an address lies in; without a name when it lies in none. */
  find(address: Address): Place;
  /** For return addresses in stacks: a call that never returns may be its function's last instruction (`%pB`). */
  findReturn(address: Address): Place;
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
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const search = searchKallsyms(bytes);
  if (search !== undefined) return symbolsBy({ status: 'ok', high: search.high, count: search.count, tableFor: search.around });
  const table = parseKallsyms(bytes);
  return symbolsBy({ status: table.status, high: table.high, count: () => table.count, tableFor: () => table });
}

interface Tables {
  readonly status: Kallsyms['status'];
  readonly high: number;
  count(): number;
  /** The table that knows what is at a low address. */
  tableFor(low: number): Kallsyms;
}

function symbolsBy({ status, high, count, tableFor }: Tables): Symbols {
  const highBits = BigInt(high) << 53n;
  const places = new Map<bigint, Place>();

  const look = (address: Address, within: bigint): Place => {
    if (within >> 53n !== BigInt(high) || within < 0n) return { address };
    const low = Number(within & LOW);
    const table = tableFor(low);
    const index = indexOf(table, low);
    if (index < 0) return { address };
    const place = { address, name: table.name(index), offset: Number((address & LOW) - BigInt(table.addresses[index]!)) };
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
    status,
    count,
    find,
    findReturn(address) {
      const place = find(address);
      return place.offset === 0 || place.name === undefined ? look(address, address - 1n) : place;
    },
    line(address) {
      if (status === 'restricted') return '0000000000000000 t _text';
      if (address >> 53n !== BigInt(high)) return undefined;
      const low = Number(address & LOW);
      const table = tableFor(low);
      const index = indexOf(table, low);
      if (index < 0) return undefined;
      const module = table.module[index]!;
      const start = (highBits | BigInt(table.addresses[index]!)).toString(16).padStart(16, '0');
      return `${start} 0x${sizeOf(table, index, lastAlias(table, index)).toString(16)} t ${table.name(index)}${module === 0 ? '' : `\t[${table.modules[module]}]`}`;
    },
  };
}

/** The symbol that a low address belongs to, or -1. */
function indexOf(table: Kallsyms, low: number): number {
  const { addresses, count } = table;
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
  return chosen >= 0 && low < addresses[chosen]! + sizeOf(table, chosen, last) ? chosen : -1;
}

/** Bytes of a symbol; `last` is the last of its aliases. */
function sizeOf({ addresses, count, sizes, module, text }: Kallsyms, index: number, last: number): number {
  const given = sizes[index]!;
  if (given > 0) return given;
  const next = last + 1;
  if (next >= count) return LAST_SIZE;
  const gap = addresses[next]! - addresses[index]!;
  return module[next] === module[index] && text[next] === 1 ? gap : Math.min(gap, LAST_SIZE);
}

function lastAlias({ addresses, count }: Kallsyms, index: number): number {
  let last = index;
  while (last + 1 < count && addresses[last + 1] === addresses[index]) last++;
  return last;
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
