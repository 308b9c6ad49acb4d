import { u16be, u32be } from '../base/bytes.ts';
import type { Defect, Transport } from '../model/packet.ts';
import { checksum, fold, pseudoHeaderSum, sameChecksum } from './checksum.ts';
import type { IpLayer } from './packet-ip.ts';

export interface TransportLayer {
  readonly transport: Transport;
  readonly defects: readonly Defect[];
}

const hex4 = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;
const ICMP = 1, TCP = 6, UDP = 17, DCCP = 33, ICMP6 = 58, SCTP = 132, UDPLITE = 136;
const MIN_HEADER: Readonly<Record<number, number>> = { [ICMP]: 8, [TCP]: 20, [UDP]: 8, [DCCP]: 12, [ICMP6]: 4, [SCTP]: 12, [UDPLITE]: 8 };

interface Checking {
  readonly quoted: boolean;
  readonly checksumOffloaded: boolean;
}

/** The transport header at `at`, of an IP packet or its first fragment. Undefined when its ports (type) were not captured. */
export function decodeTransport(b: Uint8Array, layer: IpLayer, at: number, checking: Checking): TransportLayer | undefined {
  const protocol = layer.ip.protocol;
  const transport = read(b, protocol, at);
  if (transport === undefined) return undefined;
  const isFragment = layer.ip.moreFragments === true;
  if (checking.quoted || layer.malformed) return { transport, defects: [] };
  const defects: Defect[] = [];
  const there = layer.end - at;
  const least = MIN_HEADER[protocol] ?? 0;
  if (there < least) {
    defects.push({ kind: 'truncated', text: `${nameOf(transport)} header of at least ${least} bytes, but the IP packet ends after ${Math.max(0, there)}` });
  } else if (transport.kind === 'udp' && !isFragment && at + 6 <= b.length && !(transport.length === 0 && there > 0xffff) && (transport.length < 8 || transport.length > there)) {
    defects.push({ kind: 'truncated', text: `UDP length ${transport.length}, but the IP packet holds ${there}` });
  } else if (transport.kind === 'tcp' && ((b[at + 12] ?? 0x50) >> 4) * 4 < 20) {
    defects.push({ kind: 'truncated', text: `TCP header length ${((b[at + 12] ?? 0) >> 4) * 4} is less than 20` });
  } else if (!checking.checksumOffloaded && !isFragment && layer.end <= b.length) {
    const wrong = wrongChecksum(b, layer, at, transport);
    if (wrong !== undefined) defects.push({ kind: 'transport-checksum', text: wrong });
  }
  return { transport, defects };
}

function nameOf(t: Transport): string {
  return t.kind === 'icmp6' ? 'ICMPv6' : t.kind === 'udplite' ? 'UDP-Lite' : t.kind.toUpperCase();
}

function read(b: Uint8Array, protocol: number, at: number): Transport | undefined {
  switch (protocol) {
    case UDP: {
      const sourcePort = u16be(b, at), destinationPort = u16be(b, at + 2);
      return sourcePort === undefined || destinationPort === undefined ? undefined : { kind: 'udp', sourcePort, destinationPort, length: u16be(b, at + 4) ?? 0, checksum: u16be(b, at + 6) ?? 0 };
    }
    case TCP: return readTcp(b, at);
    case ICMP: case ICMP6: return readIcmp(b, at, protocol === ICMP ? 'icmp' : 'icmp6');
    case SCTP: return withKind('sctp', readPorts(b, at));
    case DCCP: return withKind('dccp', readPorts(b, at));
    case UDPLITE: return withKind('udplite', readPorts(b, at));
    default: return { kind: 'other', protocol };
  }
}

interface Ports { readonly sourcePort: number; readonly destinationPort: number }

function readPorts(b: Uint8Array, at: number): Ports | undefined {
  const sourcePort = u16be(b, at), destinationPort = u16be(b, at + 2);
  return sourcePort === undefined || destinationPort === undefined ? undefined : { sourcePort, destinationPort };
}

const withKind = (kind: 'sctp' | 'dccp' | 'udplite', ports: Ports | undefined): Transport | undefined => ports && { kind, ...ports };

/** RFC 9293; options by kind (2 MSS, 3 window scale, 4/5 SACK, 8 time stamps, 19 MD5, 29 AO). */
function readTcp(b: Uint8Array, at: number): Transport | undefined {
  const ports = readPorts(b, at);
  const sequence = u32be(b, at + 4), acknowledgement = u32be(b, at + 8), window = u16be(b, at + 14);
  if (ports === undefined) return undefined;
  const options: number[] = [];
  let timestamp: number | undefined;
  const end = Math.min(at + ((b[at + 12] ?? 0) >> 4) * 4, b.length);
  for (let i = at + 20; i < end;) {
    const kind = b[i]!;
    if (kind === 0) break;
    if (kind === 1) { i++; continue; }
    const size = b[i + 1] ?? 0;
    if (size < 2) break;
    options.push(kind);
    if (kind === 8 && size === 10) timestamp = u32be(b, i + 2);
    i += size;
  }
  const { sourcePort, destinationPort } = ports;
  const tcp = { kind: 'tcp', sourcePort, destinationPort, flags: b[at + 13] ?? 0, sequence: sequence ?? 0, acknowledgement: acknowledgement ?? 0, window: window ?? 0, options } as const;
  return timestamp === undefined ? tcp : { ...tcp, timestamp };
}

function readIcmp(b: Uint8Array, at: number, kind: 'icmp' | 'icmp6'): Transport | undefined {
  const type = b[at], code = b[at + 1];
  if (type === undefined || code === undefined) return undefined;
  const id = u16be(b, at + 4), sequence = u16be(b, at + 6), word = u32be(b, at + 4);
  const isEcho = kind === 'icmp' ? type === 0 || type === 8 : type === 128 || type === 129;
  if (isEcho && id !== undefined && sequence !== undefined) return { kind, type, code, id, sequence };
  if (kind === 'icmp' && type === 3 && code === 4 && sequence !== undefined) return { kind, type, code, mtu: sequence };
  if (kind === 'icmp6' && type === 2 && word !== undefined) return { kind, type, code, mtu: word };
  return { kind, type, code };
}

/** In words, when the packet's checksum is wrong. A field that holds the bare pseudo header sum awaits its completion: not wrong. */
function wrongChecksum(b: Uint8Array, layer: IpLayer, at: number, t: Transport): string | undefined {
  const { version, protocol } = layer.ip;
  const whole = layer.end - at;
  let field: number, covered = whole, pseudo = 0;
  switch (t.kind) {
    case 'udp':
      covered = t.length === 0 ? whole : t.length;
      if (t.checksum === 0) return version === 6 ? 'UDP checksum 0, which IPv6 does not allow' : undefined;
      field = at + 6;
      pseudo = pseudoHeaderSum(b, layer.addresses, version, protocol, covered);
      break;
    case 'udplite':
      covered = u16be(b, at + 4) || whole;
      if (covered < 8 || covered > whole) return `UDP-Lite coverage ${covered}, but the IP packet holds ${whole}`;
      field = at + 6;
      pseudo = pseudoHeaderSum(b, layer.addresses, version, protocol, whole);
      break;
    case 'tcp':
      field = at + 16;
      pseudo = pseudoHeaderSum(b, layer.addresses, version, protocol, whole);
      break;
    case 'icmp':
      field = at + 2;
      break;
    case 'icmp6':
      field = at + 2;
      pseudo = pseudoHeaderSum(b, layer.addresses, version, protocol, whole);
      break;
    case 'sctp': case 'dccp': case 'other': return undefined;
  }
  // a routing header with segments left (and its IPv4 kin) changes the final destination: not checkable in passing
  if (version === 6 && pseudo !== 0 && hasRoutingHeader(b, layer)) return undefined;
  const found = u16be(b, field);
  if (found === undefined) return undefined;
  if (t.kind !== 'icmp' && (found === fold(pseudo) || found === 0 && pseudo === 0xffff)) return undefined;
  const computed = checksum(b, at, at + covered, field, pseudo);
  return sameChecksum(found, computed) ? undefined : `${nameOf(t)} checksum ${hex4(found)}, computed ${hex4(computed)}`;
}

function hasRoutingHeader(b: Uint8Array, layer: IpLayer): boolean {
  const first = b[layer.network + 6];
  if (first === 43) return (b[layer.network + 43] ?? 0) > 0;
  return first === 0 && b[layer.network + 40] === 43;
}
