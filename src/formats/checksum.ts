/** The Internet checksum (RFC 1071): sums of 16-bit words in network order, folded to 16 bits. */

/** Sum of `[from, to)`, not yet complemented; an odd last byte counts as the high half of a word. */
export function onesSum(b: Uint8Array, from: number, to: number, start = 0): number {
  let sum = start;
  const end = Math.min(to, b.length);
  let i = Math.max(from, 0);
  for (; i + 1 < end; i += 2) sum += (b[i]! << 8) | b[i + 1]!;
  if (i < end) sum += b[i]! << 8;
  return fold(sum);
}

export function fold(sum: number): number {
  let s = sum;
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 0x10000);
  return s;
}

/** What belongs into the field at `field` (which counts as zero), over `[from, to)` on top of `start`. */
export function checksum(b: Uint8Array, from: number, to: number, field: number, start = 0): number {
  const there = field >= from && field + 1 < Math.min(to, b.length) ? (b[field]! << 8) | b[field + 1]! : 0;
  return ~fold(onesSum(b, from, to, start) + (~there & 0xffff)) & 0xffff;
}

/**
 * Sum of the pseudo header: addresses (network order, contiguous at `addresses`), protocol and transport length.
 * RFC 768, RFC 9293, RFC 8200 8.1. It is also what a partial checksum (CHECKSUM_PARTIAL) has in the field.
 */
export function pseudoHeaderSum(b: Uint8Array, addresses: number, family: 4 | 6, protocol: number, length: number): number {
  return fold(onesSum(b, addresses, addresses + (family === 4 ? 8 : 32)) + protocol + (length >>> 16) + (length & 0xffff));
}

/** Whether two checksums say the same: 0 and 0xffff are one value in one's complement. */
export function sameChecksum(a: number, b: number): boolean {
  return a === b || (a === 0 && b === 0xffff) || (a === 0xffff && b === 0);
}
