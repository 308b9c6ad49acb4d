import { u32le } from '../base/bytes.ts';
import { parseInet } from '../base/inet.ts';
import type { Tuple } from '../model/event.ts';
import { NLMSG_HEADER, NLMSG_NOOP, type NetlinkMessage } from './netlink.ts';

/**
 * whydrop's own way to keep a flood of conntrack events small: one NLMSG_NOOP, which every reader of netlink skips,
 * instead of thousands of messages. Body: u32 magic, u32 count, u32 length of a sample message, the sample padded to
 * 4, then for each event two u32 hashes of the attributes in its CTA_TUPLE_ORIG (or none). Little-endian.
 */
const MAGIC = 0x74636477; // "wdct"
const FIXED = 12;
const NFGENMSG = 4;
const CTA_TUPLE_ORIG = 1;

export interface Burst {
  readonly count: number;
  readonly sample: Uint8Array;
  readonly tuples: Uint32Array;
}

export function encodeBurst(burst: Burst): Uint8Array {
  const padded = (burst.sample.length + 3) & ~3;
  const bytes = new Uint8Array(NLMSG_HEADER + FIXED + padded + burst.tuples.length * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, NLMSG_NOOP, true);
  view.setUint32(NLMSG_HEADER, MAGIC, true);
  view.setUint32(NLMSG_HEADER + 4, burst.count, true);
  view.setUint32(NLMSG_HEADER + 8, burst.sample.length, true);
  bytes.set(burst.sample, NLMSG_HEADER + FIXED);
  burst.tuples.forEach((hash, i) => view.setUint32(NLMSG_HEADER + FIXED + padded + 4 * i, hash, true));
  return bytes;
}

/** Undefined for a NOOP that is not ours. */
export function decodeBurst(bytes: Uint8Array, m: NetlinkMessage): Burst | undefined {
  if (m.to - m.from < FIXED || u32le(bytes, m.from) !== MAGIC) return undefined;
  const count = u32le(bytes, m.from + 4)!, length = u32le(bytes, m.from + 8)!;
  const from = m.from + FIXED;
  if (length > m.to - from) return undefined;
  const at = from + ((length + 3) & ~3);
  const tuples = new Uint32Array(Math.max(0, (m.to - at) >> 3) * 2);
  for (let i = 0; i < tuples.length; i++) tuples[i] = u32le(bytes, at + 4 * i)!;
  return { count, sample: bytes.subarray(from, from + length), tuples };
}

/** Writes the two hashes of an event's original tuple; false when the message has none. */
export function hashMessage(bytes: Uint8Array, m: NetlinkMessage, out: Uint32Array, at: number): boolean {
  for (let i = m.from + NFGENMSG; i + 4 <= m.to; ) {
    const length = bytes[i]! | (bytes[i + 1]! << 8);
    if (length < 4 || i + length > m.to) return false;
    if ((bytes[i + 2]! | ((bytes[i + 3]! & 0x3f) << 8)) === CTA_TUPLE_ORIG) {
      hash(bytes, i + 4, i + length, out, at);
      return true;
    }
    i += (length + 3) & ~3;
  }
  return false;
}

/** Whether a burst holds an entry with this original tuple. A chance hit is one in 2^64 for each entry. */
export function burstHas(tuples: Uint32Array, tuple: Tuple): boolean {
  const bytes = encodeTuple(tuple);
  if (bytes === undefined) return false;
  const wanted = new Uint32Array(2);
  hash(bytes, 0, bytes.length, wanted, 0);
  for (let i = 0; i + 1 < tuples.length; i += 2) if (tuples[i] === wanted[0] && tuples[i + 1] === wanted[1]) return true;
  return false;
}

/** FNV-1a with two starts; the NLA flags in the headers are part of it, as the kernel always sets them alike. */
function hash(b: Uint8Array, from: number, to: number, out: Uint32Array, at: number): void {
  let one = 0x811c9dc5, two = 0x1234567;
  for (let i = from; i < to; i++) {
    one = Math.imul(one ^ b[i]!, 0x01000193);
    two = Math.imul(two ^ b[i]!, 0x01000193) ^ (two >>> 15);
  }
  out[at] = one;
  out[at + 1] = two;
}

/** The attributes inside CTA_TUPLE_ORIG, as ctnetlink_dump_tuples writes them: addresses, then protocol and ports. */
export function encodeTuple(t: Tuple): Uint8Array | undefined {
  const source = parseInet(t.source), destination = parseInet(t.destination);
  if (source === undefined || destination === undefined || source.family !== destination.family) return undefined;
  const six = source.family === 6;
  const number = t.protocol;
  const icmp = number === 1 || number === 58;
  const byte = (type: number, value: number): number[] => attribute(type, [value & 0xff]);
  const word = (type: number, value: number): number[] => attribute(type, [(value >> 8) & 0xff, value & 0xff]);
  const proto = byte(1, number);
  if (icmp) proto.push(...word(number === 1 ? 4 : 7, t.sourcePort ?? 0), ...byte(number === 1 ? 5 : 8, (t.destinationPort ?? 0) >> 8), ...byte(number === 1 ? 6 : 9, t.destinationPort ?? 0));
  else if (t.sourcePort !== undefined || t.destinationPort !== undefined) proto.push(...word(2, t.sourcePort ?? 0), ...word(3, t.destinationPort ?? 0));
  const addresses = [...attribute(six ? 3 : 1, source.bytes), ...attribute(six ? 4 : 2, destination.bytes)];
  return Uint8Array.from([...attribute(0x8001, addresses), ...attribute(0x8002, proto)]);
}

function attribute(type: number, payload: ArrayLike<number>): number[] {
  const length = 4 + payload.length;
  const bytes = [length & 0xff, length >> 8, type & 0xff, type >> 8, ...Array.from(payload)];
  while (bytes.length % 4 !== 0) bytes.push(0);
  return bytes;
}
