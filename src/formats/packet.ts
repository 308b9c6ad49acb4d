import { mac, u16be, u32be } from '../base/bytes.ts';
import { ipv4Text } from '../base/inet.ts';
import type { Arp, Ethernet, Packet, Transport } from '../model/packet.ts';
import { decodeIp, type IpLayer } from './packet-ip.ts';
import { decodeTransport, type TransportLayer } from './packet-transport.ts';
import { decodeTunnel } from './packet-tunnel.ts';

/**
 * Where the kernel says that the headers are, as offsets into the captured bytes. All may be missing, stale or wrong:
 * what contradicts the bytes is ignored.
 */
export interface PacketAt {
  readonly mac?: number;
  readonly network?: number;
  readonly transport?: number;
  /** Ethertype in host order (0x0800), 0 when not known. */
  readonly protocol: number;
  /**
   * Bytes from the network header to the packet's end, when known: `skb->len + (skb->data - network header)`.
   * It is what the headers' own lengths are held against; what was captured may be less.
   */
  readonly length?: number;
  /** The transport checksum is not there yet (ip_summed CHECKSUM_PARTIAL): don't check it. */
  readonly checksumOffloaded?: boolean;
}

/** How a packet inside another is to be read. */
export interface Nesting {
  readonly depth: number;
  /** A packet quoted in an ICMP error: cut off and perhaps rewritten, so its checksums and lengths say nothing. */
  readonly quoted: boolean;
  readonly checksumOffloaded: boolean;
}

const ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806, ETH_P_IPV6 = 0x86dd, ETH_P_TEB = 0x6558;
const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8 || type === 0x9100;
/** Tunnels in tunnels and quotes are followed so deep. */
const MAX_DEPTH = 4;

/**
 * A packet's headers, from a copy of its head. Never throws; parts that were not captured are absent.
 * Sources: IEEE 802.1Q, RFC 791, 8200, 9293, 768, 792, 4443, 826, 2784, 7348, 8926; checksums RFC 1071.
 */
export function decodePacket(bytes: Uint8Array, at: PacketAt): Packet {
  return decodeNested(bytes, at, { depth: 0, quoted: false, checksumOffloaded: at.checksumOffloaded ?? false });
}

/** {@link decodePacket} for a packet within another. */
export function decodeNested(bytes: Uint8Array, told: PacketAt, nesting: Nesting): Packet {
  if (nesting.depth > MAX_DEPTH) return { defects: [] };
  const at = told.network !== undefined && (told.network < 0 || told.network >= bytes.length) ? withoutNetwork(told) : told;
  const frame = decodeEthernet(bytes, at);
  const packet = decodeNetwork(bytes, at, frame, nesting);
  return frame === undefined ? packet : { ethernet: frame.ethernet, ...packet };
}

function withoutNetwork({ network: _, ...rest }: PacketAt): PacketAt {
  return rest;
}

function decodeNetwork(bytes: Uint8Array, at: PacketAt, frame: Frame | undefined, nesting: Nesting): Packet {
  const start = networkStart(bytes, at, frame);
  if (start === undefined) return { defects: [] };
  const { protocol, network } = start;
  const length = at.length === undefined ? undefined : at.length - (network - (at.network ?? network));
  if (protocol === ETH_P_ARP) {
    const arp = decodeArp(bytes, network);
    return arp === undefined ? { defects: [] } : { arp, defects: [] };
  }
  if (protocol !== ETH_P_IP && protocol !== ETH_P_IPV6) return { defects: [] };
  const layer = decodeIp(bytes, network, protocol === ETH_P_IP ? 4 : 6, length, nesting.quoted);
  if (layer === undefined) return { defects: [] };
  const at4 = layer.malformed && at.transport !== undefined && at.transport > network ? at.transport : layer.payload;
  return above(bytes, layer, at4, nesting);
}

function above(bytes: Uint8Array, layer: IpLayer, at: number, nesting: Nesting): Packet {
  const { ip } = layer;
  const isLaterFragment = (ip.fragmentOffset ?? 0) > 0;
  if (isLaterFragment) return { ip, defects: layer.defects };
  const carried = decodeTransport(bytes, layer, at, nesting);
  if (carried === undefined) return { ip, defects: layer.defects };
  const defects = carried.defects.length === 0 ? layer.defects : [...layer.defects, ...carried.defects];
  const base = { ip, transport: carried.transport, defects };
  const inner = { ...nesting, depth: nesting.depth + 1 };
  const tunnel = decodeTunnel(bytes, layer, at, carried.transport);
  if (tunnel !== undefined) {
    const { name, key, flags, protocol, payload } = tunnel;
    const place: PacketAt = protocol === ETH_P_TEB ? { mac: payload, protocol: 0 } : { network: payload, protocol };
    const packet = decodeNested(bytes, place, inner);
    return { ...base, inner: { tunnel: name, ...(key === undefined ? {} : { key }), ...(flags === undefined ? {} : { flags }), packet } };
  }
  const quote = quotedAt(carried, at, ip.version);
  return quote === undefined || quote >= bytes.length ? base
    : { ...base, quoted: decodeNested(bytes, { network: quote, protocol: ip.version === 4 ? ETH_P_IP : ETH_P_IPV6 }, { ...inner, quoted: true }) };
}

/** ICMP errors carry the packet that caused them after eight bytes (RFC 792; RFC 4443: types below 128). */
function quotedAt(carried: TransportLayer, at: number, version: 4 | 6): number | undefined {
  const t: Transport = carried.transport;
  if (version === 4) return t.kind === 'icmp' && [3, 4, 5, 11, 12].includes(t.type) ? at + 8 : undefined;
  return t.kind === 'icmp6' && t.type >= 1 && t.type <= 4 ? at + 8 : undefined;
}

interface Frame {
  readonly ethernet: Ethernet;
  readonly payload: number;
}

/**
 * The Ethernet header, when there is one: `mac_header` of a packet on its way out, or of a device without link layer,
 * points at something else.
 */
function decodeEthernet(bytes: Uint8Array, at: PacketAt): Frame | undefined {
  if (at.mac === undefined) return undefined;
  const destination = mac(bytes, at.mac), source = mac(bytes, at.mac + 6);
  let type = u16be(bytes, at.mac + 12);
  if (destination === undefined || source === undefined || type === undefined) return undefined;
  let payload = at.mac + 14;
  let vlan: number | undefined;
  for (let tags = 0; tags < 2 && isVlan(type); tags++) {
    const tci = u16be(bytes, payload), next = u16be(bytes, payload + 2);
    if (tci === undefined || next === undefined) break;
    vlan ??= tci & 0xfff;
    type = next;
    payload += 4;
  }
  if (at.network !== undefined) {
    const distance = at.network - at.mac;
    const outer = u16be(bytes, at.mac + 12)!;
    const agrees = at.protocol === 0 || type === at.protocol || outer === at.protocol || outer < 0x600;
    if (distance < 14 || distance > 22 || distance % 4 !== 2 || !agrees) return undefined;
  }
  return { ethernet: vlan === undefined ? { source, destination, type } : { source, destination, type, vlan }, payload };
}

/** Where the network header really is and what it is. */
function networkStart(bytes: Uint8Array, at: PacketAt, frame: Frame | undefined): { readonly network: number; readonly protocol: number } | undefined {
  let protocol = at.protocol;
  let network = at.network;
  // network_header of a tagged packet may point at the tag
  if (network !== undefined && isVlan(protocol)) {
    for (let tags = 0; tags < 2 && isVlan(protocol) && frame?.payload !== network; tags++) {
      protocol = u16be(bytes, network + 2) ?? 0;
      network += 4;
    }
    if (frame !== undefined && isVlan(protocol)) protocol = frame.ethernet.type;
  }
  if (network === undefined || network >= bytes.length) {
    return frame === undefined ? undefined : { network: frame.payload, protocol: frame.ethernet.type };
  }
  if (protocol === 0) protocol = guessProtocol(bytes, network);
  if (at.mac !== undefined && !looksLike(bytes, network, protocol)) {
    const other = decodeEthernet(bytes, { mac: at.mac, protocol: 0 }); // wherever the network header is said to be
    if (other !== undefined && other.payload !== network && other.ethernet.type === protocol && looksLike(bytes, other.payload, protocol)) return { network: other.payload, protocol };
  }
  return { network, protocol };
}

function looksLike(bytes: Uint8Array, network: number, protocol: number): boolean {
  const nibble = (bytes[network] ?? 0) >> 4;
  return protocol === ETH_P_IP ? nibble === 4 : protocol === ETH_P_IPV6 ? nibble === 6 : true;
}

/** `skb->protocol` is 0 until a packet that was sent here has its IP header; after that the bytes themselves tell. */
function guessProtocol(bytes: Uint8Array, network: number): number {
  const version = bytes[network]! >> 4;
  if (version === 4) {
    const total = u16be(bytes, network + 2), ttl = bytes[network + 8];
    return (bytes[network]! & 15) >= 5 && total !== undefined && total >= 20 && ttl !== 0 && ttl !== undefined ? ETH_P_IP : 0;
  }
  return version === 6 && bytes[network + 7] !== undefined && bytes[network + 7] !== 0 ? ETH_P_IPV6 : 0;
}

/** RFC 826 for Ethernet and IPv4. */
function decodeArp(bytes: Uint8Array, at: number): Arp | undefined {
  const operation = u16be(bytes, at + 6);
  if (u32be(bytes, at + 2) !== 0x08000604 || operation === undefined) return undefined;
  const senderMac = mac(bytes, at + 8), sender = ipv4Text(bytes, at + 14), targetMac = mac(bytes, at + 18), target = ipv4Text(bytes, at + 24);
  if (senderMac === undefined || sender === undefined || targetMac === undefined || target === undefined) return undefined;
  return { operation, senderMac, sender, targetMac, target };
}
