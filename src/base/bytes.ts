/**
 * Bounds-checked reading of bytes that nobody vouches for. Nothing here throws.
 *
 * Two ways: the functions (`u16be(bytes, at)`) give `undefined` past the end, for headers with a few fields; a
 * {@link Cursor} gives 0 and raises `short`, for long layouts that are checked once at the end.
 */
import { rememberText } from './remember.ts';

export const u8 = (b: Uint8Array, at: number): number | undefined => b[at];

export function u16be(b: Uint8Array, at: number): number | undefined {
  return at < 0 || at + 2 > b.length ? undefined : (b[at]! << 8) | b[at + 1]!;
}

export function u16le(b: Uint8Array, at: number): number | undefined {
  return at < 0 || at + 2 > b.length ? undefined : b[at]! | (b[at + 1]! << 8);
}

export function u32be(b: Uint8Array, at: number): number | undefined {
  return at < 0 || at + 4 > b.length ? undefined : ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

export function u32le(b: Uint8Array, at: number): number | undefined {
  return at < 0 || at + 4 > b.length ? undefined : (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
}

export function u64be(b: Uint8Array, at: number): bigint | undefined {
  const high = u32be(b, at), low = u32be(b, at + 4);
  return high === undefined || low === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low);
}

export function u64le(b: Uint8Array, at: number): bigint | undefined {
  const low = u32le(b, at), high = u32le(b, at + 4);
  return high === undefined || low === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low);
}

/** The part of `[from, to)` that is there; empty when none is. Shares memory. */
export function slice(b: Uint8Array, from: number, to = b.length): Uint8Array {
  const start = Math.min(Math.max(from, 0), b.length);
  return b.subarray(start, Math.max(start, Math.min(to, b.length)));
}

const latin1 = new TextDecoder('latin1');
const utf8 = new TextDecoder('utf-8'); // never fatal: wrong bytes become U+FFFD

/** The text up to the first NUL, or to the end of the field: `char comm[16]`. */
export function cString(b: Uint8Array, at: number, size = b.length - at): string {
  const field = slice(b, at, at + Math.max(0, size));
  const end = field.indexOf(0);
  return utf8.decode(end < 0 ? field : field.subarray(0, end));
}

/** One character a byte. */
export const latin1Text = (b: Uint8Array): string => latin1.decode(b);

const macText = rememberText(6, 256, (b, at) => Array.from(b.subarray(at, at + 6), (x) => x.toString(16).padStart(2, '0')).join(':'));

/** `0a:00:00:00:00:01`, or `undefined` when fewer than six bytes are there. */
export const mac = (b: Uint8Array, at: number): string | undefined => macText(b, at);

/** Reads on from a position. Past the end every read gives 0, leaves the position at the end and raises `short`. */
export class Cursor {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  /** A read went past the end: what it gave was not there. */
  short = false;
  #at: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at = 0, littleEndian = true) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.seek(at);
  }

  get at(): number { return this.#at; }
  get left(): number { return this.bytes.length - this.#at; }

  /** To a position, within the bytes; else `short`, at the end. */
  seek(to: number): void {
    if (to >= 0 && to <= this.bytes.length) this.#at = to;
    else {
      this.short = true;
      this.#at = this.bytes.length;
    }
  }

  skip(n: number): void { this.seek(this.#at + n); }

  /** To the next multiple of `n`, counted from the first byte. */
  align(n: number): void { this.skip((n - (this.#at % n)) % n); }

  /** The position of `n` bytes to read, or -1. */
  #take(n: number): number {
    const at = this.#at;
    if (n < 0 || at + n > this.bytes.length) {
      this.short = true;
      this.#at = this.bytes.length;
      return -1;
    }
    this.#at = at + n;
    return at;
  }

  u8(): number { const at = this.#take(1); return at < 0 ? 0 : this.bytes[at]!; }
  u16(): number { const at = this.#take(2); return at < 0 ? 0 : this.#view.getUint16(at, this.littleEndian); }
  u32(): number { const at = this.#take(4); return at < 0 ? 0 : this.#view.getUint32(at, this.littleEndian); }
  i32(): number { const at = this.#take(4); return at < 0 ? 0 : this.#view.getInt32(at, this.littleEndian); }
  u64(): bigint { const at = this.#take(8); return at < 0 ? 0n : this.#view.getBigUint64(at, this.littleEndian); }
  i64(): bigint { const at = this.#take(8); return at < 0 ? 0n : this.#view.getBigInt64(at, this.littleEndian); }
  /** Network order, whatever the cursor's own. */
  u16be(): number { const at = this.#take(2); return at < 0 ? 0 : this.#view.getUint16(at); }
  u32be(): number { const at = this.#take(4); return at < 0 ? 0 : this.#view.getUint32(at); }

  /** `n` bytes, shared with the input; fewer, and `short`, where the end comes first. */
  take(n: number): Uint8Array {
    const from = this.#at;
    return this.#take(n) < 0 ? slice(this.bytes, from) : this.bytes.subarray(from, from + n);
  }

  /** A field of `size` bytes that holds text up to its first NUL. */
  text(size: number): string {
    const from = this.#at;
    const field = this.take(size);
    return field.length === 0 ? '' : cString(this.bytes, from, field.length);
  }
}
