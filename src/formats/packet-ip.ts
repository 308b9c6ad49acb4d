import { u16be, u32be } from '../base/bytes.ts';
import { ipv4Text, ipv6Text } from '../base/inet.ts';
import type { Defect, Ip } from '../model/packet.ts';
import { checksum, sameChecksum } from './checksum.ts';

/** An IP header with what is needed to read on. */
export interface IpLayer {
  readonly ip: Ip;
  /** Offset of the network header. */
  readonly network: number;
  /** Offset of the transport header. */
  readonly payload: number;
  /** Offset behind the last byte that belongs to the packet, by its own length; may lie beyond what was captured. */
  readonly end: number;
  /** Offset of source and destination address, contiguous, for the pseudo header. */
  readonly addresses: number;
  /** The header contradicts itself: `payload` and `end` are guesses. */
  readonly malformed: boolean;
  readonly defects: readonly Defect[];
}

const hex4 = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;

/**
 * IPv4 (RFC 791) or IPv6 (RFC 8200) at `network`. `length` is what the kernel says is there from the header on.
 * A header whose first 20 (40) bytes were not captured is undefined.
 */
export function decodeIp(b: Uint8Array, network: number, family: 4 | 6, length: number | undefined, quoted: boolean): IpLayer | undefined {
  return family === 4 ? decodeIpv4(b, network, length, quoted) : decodeIpv6(b, network, length, quoted);
}

function decodeIpv4(b: Uint8Array, at: number, length: number | undefined, quoted: boolean): IpLayer | undefined {
  const source = ipv4Text(b, at + 12), destination = ipv4Text(b, at + 16);
  if (source === undefined || destination === undefined) return undefined;
  const defects: Defect[] = [];
  const header = (text: string): void => void defects.push({ kind: 'ip-header', text });
  const version = b[at]! >> 4, headerLength = (b[at]! & 15) * 4;
  const totalLength = u16be(b, at + 2)!, fragment = u16be(b, at + 6)!;
  // a segment train above 64 KiB (BIG TCP) has 0 here
  const isHuge = totalLength === 0 && (length ?? 0) > 0xffff;
  if (version !== 4) header(`IPv4 header with version ${version}`);
  if (headerLength < 20) header(`IPv4 header length ${headerLength} is less than 20`);
  if (!isHuge && totalLength < Math.max(20, headerLength)) header(`IPv4 total length ${totalLength} is less than its header of ${Math.max(20, headerLength)}`);
  else if (!quoted && length !== undefined && totalLength > length) header(`IPv4 total length ${totalLength}, but ${length} bytes are there`);
  const malformed = defects.length > 0;
  const used = Math.max(20, headerLength);
  if (!quoted && version === 4 && headerLength >= 20 && at + headerLength <= b.length) {
    const found = u16be(b, at + 10)!;
    const computed = checksum(b, at, at + headerLength, at + 10);
    if (!sameChecksum(found, computed)) defects.push({ kind: 'ip-checksum', text: `IPv4 header checksum ${hex4(found)}, computed ${hex4(computed)}` });
  }
  const options = headerLength > 20 ? ipv4Options(b, at + 20, Math.min(at + headerLength, b.length)) : undefined;
  const plain: Ip = {
    version: 4, source, destination, protocol: b[at + 9]!, ttl: b[at + 8]!, totalLength, headerLength, tos: b[at + 1]!,
    id: u16be(b, at + 4)!, dontFragment: (fragment & 0x4000) !== 0, moreFragments: (fragment & 0x2000) !== 0, fragmentOffset: (fragment & 0x1fff) * 8,
  };
  const ip = options === undefined ? plain : { ...plain, options };
  const end = isHuge || malformed ? at + (length ?? Math.max(totalLength, used)) : at + totalLength;
  return { ip, network: at, payload: at + used, end, addresses: at + 12, malformed, defects };
}

/** Types in order: 7 record route, 68 time stamp, 131 loose and 137 strict source route, 148 router alert… */
function ipv4Options(b: Uint8Array, from: number, to: number): readonly number[] {
  const types: number[] = [];
  for (let i = from; i < to;) {
    const type = b[i]!;
    if (type === 0) break;
    types.push(type);
    const size = type === 1 ? 1 : (b[i + 1] ?? 0);
    if (type !== 1 && size < 2) break;
    i += size;
  }
  return types;
}

const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60, MOBILITY = 135, HIP = 139, SHIM6 = 140;
/** More extension headers than this are not followed. */
const MAX_EXTENSIONS = 16;

function decodeIpv6(b: Uint8Array, at: number, length: number | undefined, quoted: boolean): IpLayer | undefined {
  const source = ipv6Text(b, at + 8), destination = ipv6Text(b, at + 24), head = u32be(b, at);
  if (source === undefined || destination === undefined || head === undefined) return undefined;
  const defects: Defect[] = [];
  const version = head >>> 28, payloadLength = u16be(b, at + 4)!;
  const isJumbo = payloadLength === 0 && (b[at + 6] === HOP_BY_HOP || (length ?? 0) > 0xffff);
  const totalLength = 40 + payloadLength;
  if (version !== 6) defects.push({ kind: 'ip-header', text: `IPv6 header with version ${version}` });
  if (!quoted && length !== undefined && !isJumbo && totalLength > length) {
    defects.push({ kind: 'ip-header', text: `IPv6 payload length ${payloadLength}, but ${Math.max(0, length - 40)} bytes are there` });
  }
  const malformed = defects.length > 0;
  let protocol = b[at + 6]!;
  let payload = at + 40;
  let fragment: { readonly fragmentOffset: number; readonly moreFragments: boolean; readonly id: number } | undefined;
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    const next = b[payload], size = b[payload + 1];
    if (next === undefined || size === undefined) break;
    if (protocol === FRAGMENT) {
      const where = u16be(b, payload + 2), id = u32be(b, payload + 4);
      if (where === undefined || id === undefined) break;
      fragment = { fragmentOffset: where & 0xfff8, moreFragments: (where & 1) !== 0, id };
      protocol = next;
      payload += 8;
      if (fragment.fragmentOffset > 0) break;
    } else if (protocol === AUTHENTICATION) {
      protocol = next;
      payload += (size + 2) * 4;
    } else if (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION_OPTIONS || protocol === MOBILITY || protocol === HIP || protocol === SHIM6) {
      protocol = next;
      payload += (size + 1) * 8;
    } else break;
  }
  const end = isJumbo ? at + (length ?? b.length - at) : at + totalLength;
  if (!malformed && payload > end) defects.push({ kind: 'truncated', text: `IPv6 extension headers end at ${payload - at}, the packet at ${end - at}` });
  const plain: Ip = { version: 6, source, destination, protocol, ttl: b[at + 7]!, totalLength: end - at, headerLength: payload - at, tos: (head >>> 20) & 0xff };
  const ip = fragment === undefined ? plain : { ...plain, ...fragment };
  return { ip, network: at, payload, end, addresses: at + 8, malformed, defects };
}
