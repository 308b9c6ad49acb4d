import { u16be } from '../../base/bytes.ts';
import { fold, onesSum, sameChecksum } from '../../formats/checksum.ts';
import type { Mapping } from './mapping.ts';

/**
 * Rewrites the head of a packet in place: addresses replaced, payload zero, everything that is not understood zero. Each
 * checksum is changed by what changed under it (RFC 1624), so one that was right is right and one that was wrong is wrong.
 */
export function redactPacket(b: Uint8Array, at: number, end: number, begins: 'ethernet' | number, mapping: Mapping, partial: boolean): void {
  if (begins === 'ethernet') ethernet({ b, mapping, partial, depth: 0 }, at, end);
  else network({ b, mapping, partial, depth: 0 }, at, end, begins);
}

interface Context {
  readonly b: Uint8Array;
  readonly mapping: Mapping;
  /** ip_summed is CHECKSUM_PARTIAL: the field holds the sum of the pseudo header, not complemented. */
  readonly partial: boolean;
  readonly depth: number;
}

const DEEPEST = 4;
const zero = (c: Context, from: number, to: number): void => void c.b.fill(0, Math.min(from, to), to);

function ethernet(c: Context, at: number, end: number): void {
  if (at + 14 > end) return zero(c, at, end);
  c.mapping.mac(c.b, at);
  c.mapping.mac(c.b, at + 6);
  network(c, at + 14, end, u16be(c.b, at + 12)!);
}

function network(c: Context, at: number, end: number, ethertype: number): void {
  const { b } = c;
  if (c.depth > DEEPEST) return zero(c, at, end);
  if (ethertype === 0x8100 || ethertype === 0x88a8 || ethertype === 0x9100) {
    if (at + 4 > end) return;
    return network({ ...c, depth: c.depth + 1 }, at + 4, end, u16be(b, at + 2)!);
  }
  // skb->protocol may not be set yet
  const type = ethertype !== 0 ? ethertype : (b[at] ?? 0) >> 4 === 4 ? 0x0800 : (b[at] ?? 0) >> 4 === 6 ? 0x86dd : 0;
  if (type === 0x0806) return arp(c, at, end);
  if (type === 0x0800) return ipv4(c, at, end);
  if (type === 0x86dd) return ipv6(c, at, end);
  zero(c, at, end);
}

function arp(c: Context, at: number, end: number): void {
  if (at + 28 > end || c.b[at + 4] !== 6 || c.b[at + 5] !== 4) return zero(c, Math.min(at + 8, end), end);
  c.mapping.mac(c.b, at + 8);
  c.mapping.inet(c.b, at + 14, 4);
  c.mapping.mac(c.b, at + 18);
  c.mapping.inet(c.b, at + 24, 4);
  zero(c, at + 28, end);
}

/** The sums of what a checksum covers, before and after. */
interface Change {
  readonly before: number;
  readonly after: number;
}

function ipv4(c: Context, at: number, all: number): void {
  const { b, mapping } = c;
  const size = (b[at]! & 15) * 4;
  if (at + 20 > all) return zero(c, at, all);
  const header = Math.min(at + Math.max(20, size), all);
  const total = u16be(b, at + 2)!;
  // what lies behind the packet's own length is not its own
  const end = total >= 20 ? Math.min(all, Math.max(header, at + total)) : all;
  zero(c, end, all);
  const before = onesSum(b, at, header);
  const addresses = onesSum(b, at + 12, at + 20);
  mapping.inet(b, at + 12, 4);
  mapping.inet(b, at + 16, 4);
  options(c, at + 20, header);
  adjust(b, at + 10, header, { before, after: onesSum(b, at, header) });
  if ((u16be(b, at + 6)! & 0x1fff) !== 0) return zero(c, header, end);
  transport(c, header, end, total - (header - at), b[at + 9]!, 4, { before: addresses, after: onesSum(b, at + 12, at + 20) });
}

const RECORD_ROUTE = 7, LOOSE_ROUTE = 131, STRICT_ROUTE = 137;

/** Options with routes hold addresses; of others the type and length stay. */
function options(c: Context, from: number, end: number): void {
  for (let at = from; at < end; ) {
    const type = c.b[at]!;
    if (type === 0) return zero(c, at, end);
    if (type === 1) {
      at += 1;
      continue;
    }
    const length = c.b[at + 1] ?? 0;
    if (length < 2 || at + length > end) return zero(c, Math.min(at + 2, end), end);
    if (type === RECORD_ROUTE || type === LOOSE_ROUTE || type === STRICT_ROUTE) {
      for (let hop = at + 3; hop + 4 <= at + length; hop += 4) c.mapping.inet(c.b, hop, 4);
    } else zero(c, at + 2, at + length);
    at += length;
  }
}

function ipv6(c: Context, at: number, all: number): void {
  const { b, mapping } = c;
  if (at + 40 > all) return zero(c, at, all);
  const length = u16be(b, at + 4)!;
  const end = length > 0 ? Math.min(all, at + 40 + length) : all;
  zero(c, end, all);
  const addresses = onesSum(b, at + 8, at + 40);
  mapping.inet(b, at + 8, 6);
  mapping.inet(b, at + 24, 6);
  const change = { before: addresses, after: onesSum(b, at + 8, at + 40) };
  let next = b[at + 6]!;
  let from = at + 40;
  for (let i = 0; i < 8; i++) {
    if (next !== 0 && next !== 43 && next !== 44 && next !== 51 && next !== 60) break;
    if (from + 8 > end) return zero(c, Math.min(from, end), end);
    const after = b[from]!;
    if (next === 44) {
      if ((u16be(b, from + 2)! & 0xfff8) !== 0) return zero(c, Math.min(from + 8, end), end);
      from += 8;
    } else {
      const to = Math.min(end, next === 51 ? from + 8 + b[from + 1]! * 4 : from + 8 + b[from + 1]! * 8);
      zero(c, next === 43 ? from + 4 : next === 51 ? Math.min(from + 12, to) : from + 2, to); // options become padding
      from = to;
    }
    next = after;
  }
  transport(c, from, end, length - (from - at - 40), next, 6, change);
}

/** `length`: what the IP header says of the transport's. */
function transport(c: Context, at: number, end: number, length: number, protocol: number, family: 4 | 6, addresses: Change): void {
  const { b } = c;
  if (at >= end) return;
  const before = onesSum(b, at, end);
  const inner: Context = { ...c, partial: false, depth: c.depth + 1 };
  let field: number | undefined;
  let pseudo = true;
  switch (protocol) {
    case 6:
      field = at + 16;
      zero(c, Math.min(end, at + Math.max(20, ((b[at + 12] ?? 0x50) >> 4) * 4)), end);
      break;
    case 17: {
      field = at + 6;
      const port = u16be(b, at + 2);
      if ((port === 4789 || port === 8472) && at + 16 <= end) ethernet(inner, at + 16, end);
      else if (port === 6081 && at + 16 <= end) {
        const payload = at + 16 + (b[at + 8]! & 0x3f) * 4;
        zero(c, at + 16, Math.min(payload, end));
        const type = u16be(b, at + 10)!;
        if (payload < end) within(inner, payload, end, type);
      } else zero(c, Math.min(at + 8, end), end);
      break;
    }
    case 1:
      field = at + 2;
      pseudo = false;
      if (b[at] === 5 && at + 8 <= end) c.mapping.inet(b, at + 4, 4);
      if ([3, 4, 5, 11, 12].includes(b[at]!) && at + 8 < end) ipv4(inner, at + 8, end);
      else zero(c, Math.min(at + 8, end), end);
      break;
    case 58:
      field = at + 2;
      icmp6(inner, at, end);
      break;
    case 33: case 136:
      field = at + 6;
      zero(c, Math.min(at + (protocol === 33 ? 16 : 8), end), end);
      break;
    case 132:
      zero(c, Math.min(at + 12, end), end);
      break;
    case 4:
      return ipv4(inner, at, end);
    case 41:
      return ipv6(inner, at, end);
    case 47: {
      const flags = u16be(b, at) ?? 0, type = u16be(b, at + 2) ?? 0;
      const payload = at + 4 + ((flags & 0xc000) !== 0 ? 4 : 0) + ((flags & 0x2000) !== 0 ? 4 : 0) + ((flags & 0x1000) !== 0 ? 4 : 0);
      field = (flags & 0x8000) !== 0 ? at + 4 : undefined;
      pseudo = false;
      if (payload < end) within(inner, payload, end, type);
      break;
    }
    case 50:
      return zero(c, Math.min(at + 8, end), end);
    default:
      return zero(c, Math.min(at + 4, end), end);
  }
  if (field === undefined) return;
  const counts = pseudo && !(family === 4 && protocol === 1);
  // a packet that never left this host may hold the sum of its pseudo header alone, also where nobody says so
  const pseudoOnly = counts && field + 2 <= end && sameChecksum(u16be(b, field)!, fold(addresses.before + protocol + (protocol === 17 ? (u16be(b, at + 4) ?? 0) : length)));
  if (c.partial || pseudoOnly) {
    if (counts && field + 2 <= end) put(b, field, fold(u16be(b, field)! + addresses.after + (~addresses.before & 0xffff)));
    return;
  }
  if (protocol === 17 && field + 2 <= end && u16be(b, field) === 0) return; // none was made
  adjust(b, field, end, { before: fold(before + (counts ? addresses.before : 0)), after: fold(onesSum(b, at, end) + (counts ? addresses.after : 0)) });
}

const within = (c: Context, at: number, end: number, type: number): void => (type === 0x6558 ? ethernet(c, at, end) : network(c, at, end, type));

/** RFC 4443 errors with their quote, RFC 4861 with its addresses; of all else eight bytes. */
function icmp6(c: Context, at: number, end: number): void {
  const type = c.b[at]!;
  if (type >= 1 && type <= 4) {
    if (at + 8 < end) ipv6(c, at + 8, end);
    return;
  }
  let options = at + 8;
  if (type === 135 || type === 136 || type === 137 || (type >= 130 && type <= 132)) {
    c.mapping.inet(c.b, at + 8, 6);
    options = at + 24;
    if (type === 137) {
      c.mapping.inet(c.b, at + 24, 6);
      options = at + 40;
    }
  } else if (type === 134) options = at + 16;
  for (let o = options; type >= 133 && type <= 137 && o + 8 <= end; ) {
    const length = c.b[o + 1]! * 8;
    if (length === 0) return zero(c, o, end);
    if ((c.b[o] === 1 || c.b[o] === 2) && length === 8) c.mapping.mac(c.b, o + 2);
    else zero(c, Math.min(o + 2, end), Math.min(o + length, end));
    o += length;
    options = Math.min(o, end);
  }
  zero(c, Math.min(options, end), end);
}

/** RFC 1624, for the field at `field`, which both sums include. */
function adjust(b: Uint8Array, field: number, end: number, change: Change): void {
  if (field + 2 > end) return;
  const sum = fold((~u16be(b, field)! & 0xffff) + change.after + (~change.before & 0xffff));
  put(b, field, ~sum & 0xffff);
}

function put(b: Uint8Array, at: number, value: number): void {
  b[at] = value >> 8;
  b[at + 1] = value & 255;
}
