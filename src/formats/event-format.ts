import { u32be, u32le, cString } from '../base/bytes.ts';

/** A tracefs event's `format` file: where its fields lie in the payload, and the names of their values. */
export interface EventFormat {
  /** `malformed`: no name, id or field could be read; what was is there. */
  readonly status: 'ok' | 'malformed';
  readonly name: string;
  /** The u16 `common_type` of its events; of this boot only. */
  readonly id: number;
  readonly fields: ReadonlyMap<string, EventField>;
  /** `__print_symbolic` and `__print_flags` tables of the print format, by field. */
  readonly names: ReadonlyMap<string, ReadonlyMap<number, string>>;
}

export interface EventField {
  readonly name: string;
  /** As written: `enum skb_drop_reason`, `char[]`. */
  readonly type: string;
  readonly offset: number;
  /** Bytes; 0 for an array of no fixed size, which reaches to the payload's end. */
  readonly size: number;
  readonly signed: boolean;
  /** `char x[16]`: 16; `[]`: 0. */
  readonly array?: number;
  /** The field is a u32 `length << 16 | offset`; `data`: from the payload's start, `relative`: from the field's end. */
  readonly location?: 'data' | 'relative';
}

/** Decodes a `format` file (kernel/trace/trace_events.c, f_show). */
export function parseEventFormat(text: string): EventFormat {
  const name = /^name:[ \t]*(\S+)/m.exec(text)?.[1];
  const id = /^ID:[ \t]*(\d{1,6})/m.exec(text)?.[1];
  const fields = new Map<string, EventField>();
  for (const m of text.matchAll(/^[ \t]*field:([^;\n]*);[ \t]*offset:(\d{1,6});[ \t]*size:(\d{1,6});(?:[ \t]*signed:(\d);)?/gm)) {
    const field = declaration(m[1]!, Number(m[2]), Number(m[3]), m[4] === '1');
    if (field !== undefined) fields.set(field.name, field);
  }
  const print = /^print fmt:[ \t]*(.*)$/m.exec(text)?.[1] ?? '';
  return { status: name === undefined || id === undefined || fields.size === 0 ? 'malformed' : 'ok', name: name ?? '', id: Number(id ?? -1), fields, names: printNames(print) };
}

/** `__data_loc char[] filename` or `unsigned long caller[8]`. */
function declaration(text: string, offset: number, size: number, signed: boolean): EventField | undefined {
  const m = /^\s*(?:(__data_loc|__rel_loc)\s+)?(.*?)([A-Za-z_]\w*)\s*(?:\[([^\]]*)\])?\s*$/s.exec(text);
  if (m === null) return undefined;
  const location = m[1] === '__data_loc' ? 'data' : m[1] === '__rel_loc' ? 'relative' : undefined;
  const array = m[4] === undefined ? undefined : /^\d+$/.test(m[4]) ? Number(m[4]) : 0;
  return { name: m[3]!, type: m[2]!.trim(), offset, size, signed, ...(array === undefined ? {} : { array }), ...(location === undefined ? {} : { location }) };
}

/** `__print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, …)`: tables by field. */
function printNames(print: string): ReadonlyMap<string, ReadonlyMap<number, string>> {
  const tables = new Map<string, ReadonlyMap<number, string>>();
  for (const m of print.matchAll(/__print_(?:symbolic|flags)(?:_u64)?\(\s*REC->(\w+)\s*,/g)) {
    const table = new Map<number, string>();
    let at = m.index + m[0].length;
    const entry = /\s*(?:"[^"]*"\s*,)?\s*\{\s*([^,{}"]+?)\s*,\s*"([^"]*)"\s*\}\s*,?/y;
    for (;;) {
      entry.lastIndex = at;
      const e = entry.exec(print);
      if (e === null) break;
      at = entry.lastIndex;
      const value = integer(e[1]!);
      if (value !== undefined && !table.has(value)) table.set(value, e[2]!);
    }
    if (table.size > 0) tables.set(m[1]!, table);
  }
  return tables;
}

/** `12`, `0x40000`, `1UL << 3`, `(1 << 3)`. */
function integer(text: string): number | undefined {
  const plain = text.replaceAll(/[()\s]/g, '').replaceAll(/(?<=[0-9a-fA-F])[uUlL]+/g, '');
  const m = /^(-?(?:0x[0-9a-fA-F]{1,16}|\d{1,16}))(?:<<(\d{1,2}))?$/.exec(plain);
  if (m === null) return undefined;
  const value = m[1]!.startsWith('-') ? -Number(m[1]!.slice(1)) : Number(m[1]);
  return m[2] === undefined ? value : value * 2 ** Number(m[2]);
}

/** An integer field of at most four bytes; undefined when the payload, `length` bytes at `base`, doesn't have it. */
export function readNumber(v: DataView, base: number, length: number, f: EventField | undefined, littleEndian = true): number | undefined {
  if (f === undefined || !holds(v, base, length, f)) return undefined;
  const at = base + f.offset;
  switch (f.size) {
    case 1: return f.signed ? v.getInt8(at) : v.getUint8(at);
    case 2: return f.signed ? v.getInt16(at, littleEndian) : v.getUint16(at, littleEndian);
    case 4: return f.signed ? v.getInt32(at, littleEndian) : v.getUint32(at, littleEndian);
    default: return undefined;
  }
}

/** An integer or pointer field of any size up to eight bytes. */
export function readBig(v: DataView, base: number, length: number, f: EventField | undefined, littleEndian = true): bigint | undefined {
  if (f === undefined || !holds(v, base, length, f)) return undefined;
  if (f.size !== 8) {
    const small = readNumber(v, base, length, f, littleEndian);
    return small === undefined ? undefined : BigInt(small);
  }
  return f.signed ? v.getBigInt64(base + f.offset, littleEndian) : v.getBigUint64(base + f.offset, littleEndian);
}

const holds = (v: DataView, base: number, length: number, f: EventField): boolean => f.offset + f.size <= length && base >= 0 && base + f.offset + f.size <= v.byteLength;

/** A text field: `char comm[16]`, or dynamic (`__data_loc char[]`). `length` is the payload's. */
export function readText(b: Uint8Array, base: number, length: number, f: EventField | undefined, littleEndian = true): string | undefined {
  if (f === undefined) return undefined;
  if (f.location === undefined) return f.offset + f.size > length ? undefined : cString(b, base + f.offset, f.size);
  const word = littleEndian ? u32le(b, base + f.offset) : u32be(b, base + f.offset);
  if (word === undefined) return undefined;
  const from = (word & 0xffff) + (f.location === 'relative' ? f.offset + f.size : 0), size = word >>> 16;
  return from + size > length ? undefined : cString(b, base + from, size);
}
