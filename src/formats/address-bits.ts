import type { Span, Value } from '../model/ruleset.ts';

/** Addresses as numbers that compare: IPv4 and MAC as number, IPv6 as bigint. Undefined for what is not one. */
export function ip4Bits(text: string): number | undefined {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (m === null) return undefined;
  let bits = 0;
  for (let i = 1; i <= 4; i++) {
    const octet = Number(m[i]);
    if (octet > 255) return undefined;
    bits = bits * 256 + octet;
  }
  return bits;
}

export function ip6Bits(text: string): bigint | undefined {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text) || !text.includes(':')) return undefined;
  let body = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const four = ip4Bits(dotted[2] as string);
    if (four === undefined) return undefined;
    body = `${dotted[1]}${Math.floor(four / 65536).toString(16)}:${(four % 65536).toString(16)}`;
  }
  const halves = body.split('::');
  if (halves.length > 2) return undefined;
  const groups = (s: string | undefined): string[] => (s === undefined || s === '' ? [] : s.split(':'));
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  const gap = 8 - head.length - tail.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined;
  let bits = 0n;
  for (const g of [...head, ...Array<string>(Math.max(0, gap)).fill('0'), ...tail]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(g)) return undefined;
    bits = (bits << 16n) | BigInt(`0x${g}`);
  }
  return bits;
}

export function macBits(text: string): number | undefined {
  return /^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/.test(text) ? text.split(':').reduce((n, b) => n * 256 + Number.parseInt(b, 16), 0) : undefined;
}

export function addressBits(text: string): number | bigint | undefined {
  return ip4Bits(text) ?? ip6Bits(text) ?? macBits(text);
}

export const exactly = (value: Value): Span => ({ low: value, high: value });

/** The addresses of `10.0.0.0` with 24 bits of prefix. */
export function prefixSpan(base: number | bigint, length: number): Span {
  if (typeof base === 'number') {
    const size = 2 ** (32 - Math.min(32, Math.max(0, length)));
    const low = Math.floor(base / size) * size;
    return { low, high: low + size - 1 };
  }
  const size = 1n << BigInt(128 - Math.min(128, Math.max(0, length)));
  const low = (base / size) * size;
  return { low, high: low + size - 1n };
}

/** `10.0.0.1`, `10.0.0.0/24`, `10.0.0.0/255.255.255.0`, `10.0.0.1-10.0.0.9`, `fd00::/8`; undefined for anything else. */
export function addressSpan(text: string): Span | undefined {
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const base = ip4Bits(text.slice(0, slash)) ?? ip6Bits(text.slice(0, slash));
    const rest = text.slice(slash + 1);
    if (base === undefined) return undefined;
    if (/^\d{1,3}$/.test(rest)) return prefixSpan(base, Number(rest));
    const mask = typeof base === 'number' ? ip4Bits(rest) : undefined;
    if (mask === undefined) return undefined;
    const size = 2 ** 32 - mask;
    return Number.isInteger(Math.log2(size)) ? prefixSpan(base as number, 32 - Math.log2(size)) : undefined;
  }
  const single = addressBits(text);
  if (single !== undefined) return exactly(single);
  const dash = text.indexOf('-');
  if (dash < 0) return undefined;
  const low = addressBits(text.slice(0, dash));
  const high = addressBits(text.slice(dash + 1));
  return low === undefined || high === undefined || typeof low !== typeof high ? undefined : { low, high };
}

/** `0x10`, `16`; with an optional mask `0x10/0xff`. */
export function markAndMask(text: string): { value: number; mask: number } | undefined {
  const m = /^(0x[0-9a-fA-F]{1,8}|\d{1,10})(?:\/(0x[0-9a-fA-F]{1,8}|\d{1,10}))?$/.exec(text);
  if (m === null) return undefined;
  return { value: Number(m[1]), mask: m[2] === undefined ? 0xffffffff : Number(m[2]) };
}
