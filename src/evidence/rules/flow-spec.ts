import type { DropEvent } from '../../model/event.ts';
import { TCP_FLAG, type Packet } from '../../model/packet.ts';
import type { Table } from '../../model/ruleset.ts';
import type { HookPoint } from './hook.ts';
import { protocolName } from './protocol-name.ts';

const EPHEMERAL = 32768; //   where ip_local_port_range begins by default

/**
 * An answer that conntrack takes for the first packet of a flow: it did not see the request (asymmetric routes, another
 * zone, a flush), so its direction says nothing.
 */
function looksLikeAnswer(drop: DropEvent): boolean {
  const { transport } = drop.packet;
  if (drop.conntrack?.info !== 2 || transport === undefined || !('sourcePort' in transport)) return false; //   IP_CT_NEW
  if (transport.kind === 'tcp' && (transport.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK)) === TCP_FLAG.SYN) return false;
  return transport.sourcePort < EPHEMERAL && transport.destinationPort >= EPHEMERAL;
}

/** Which end of a packet's flow offers the service. */
export function serverSide(drop: DropEvent): 'destination' | 'source' {
  const { ip, transport } = drop.packet;
  const ct = drop.conntrack;
  if (ct !== undefined && ct.info !== 7 && !looksLikeAnswer(drop)) return ct.info >= 3 ? 'source' : 'destination';
  if (ip === undefined || transport === undefined || !('sourcePort' in transport)) return 'destination';
  if (transport.kind === 'tcp' && (transport.flags & TCP_FLAG.SYN) !== 0) return (transport.flags & TCP_FLAG.ACK) !== 0 ? 'source' : 'destination';
  if (transport.sourcePort < EPHEMERAL && transport.destinationPort >= EPHEMERAL) return 'source';
  return 'destination';
}

/** The words, in the language of the table's tool, that match one direction of a flow by its server's side. */
export function flowSpec(table: Table, drop: DropEvent, hook: HookPoint): string[] {
  const { packet } = drop;
  const server = serverSide(drop);
  const local = hook.hook === 'input' ? 'destination' : hook.hook === 'output' ? 'source' : undefined;
  const named = server === local ? undefined : server; //   this host's own address need not be said
  if (packet.arp !== undefined && packet.ip === undefined) return arpSpec(table, packet, hook);
  if (packet.ip === undefined) return [];
  switch (table.tool) {
    case 'nft': return nftSpec(packet, server, named);
    case 'ebtables': return ebtablesSpec(packet, server);
    default: return iptablesSpec(packet, server, named);
  }
}

type Side = 'destination' | 'source';

/** Ports to match by. A first fragment has them, but the fragments behind it do not: both must get through. */
function ported(packet: Packet): { sourcePort: number; destinationPort: number } | undefined {
  const t = packet.transport;
  const fragment = (packet.ip?.fragmentOffset ?? 0) !== 0 || packet.ip?.moreFragments === true;
  return t !== undefined && 'sourcePort' in t && !fragment ? t : undefined;
}

/** Neighbour solicitations and advertisements: what IPv6 cannot do without, from anybody on the link (RFC 4861, hop limit 255). */
const isNeighbourDiscovery = (packet: Packet): boolean => packet.transport?.kind === 'icmp6' && (packet.transport.type === 135 || packet.transport.type === 136);

function iptablesSpec(packet: Packet, server: Side, named: Side | undefined): string[] {
  const { ip, transport } = packet;
  if (ip === undefined) return [];
  if (isNeighbourDiscovery(packet)) return ['-p', 'ipv6-icmp', '-m', 'hl', '--hl-eq', '255'];
  const ports = ported(packet);
  const words: string[] = [];
  const both = ports === undefined;
  if (named === 'source' || both) words.push('-s', ip.source);
  if (named === 'destination' || both) words.push('-d', ip.destination);
  words.push('-p', ip.version === 6 && ip.protocol === 58 ? 'ipv6-icmp' : protocolName(ip.protocol));
  if (ports !== undefined) words.push(server === 'destination' ? '--dport' : '--sport', String(server === 'destination' ? ports.destinationPort : ports.sourcePort));
  if (transport?.kind === 'icmp') words.push('--icmp-type', String(transport.type));
  if (transport?.kind === 'icmp6') words.push('--icmpv6-type', String(transport.type));
  return words;
}

function nftSpec(packet: Packet, server: Side, named: Side | undefined): string[] {
  const { ip, transport } = packet;
  if (ip === undefined) return [];
  if (isNeighbourDiscovery(packet)) return ['icmpv6', 'type', '{', '135,', '136', '}'];
  const family = ip.version === 4 ? 'ip' : 'ip6';
  const ports = ported(packet);
  const both = ports === undefined;
  const words: string[] = [];
  if (named === 'source' || both) words.push(family, 'saddr', ip.source);
  if (named === 'destination' || both) words.push(family, 'daddr', ip.destination);
  if (ports !== undefined) words.push(/^(tcp|udp|sctp|dccp|udplite)$/.test(protocolName(ip.protocol)) ? protocolName(ip.protocol) : 'th', server === 'destination' ? 'dport' : 'sport', String(server === 'destination' ? ports.destinationPort : ports.sourcePort));
  else if (transport?.kind === 'icmp') words.push('icmp', 'type', String(transport.type));
  else if (transport?.kind === 'icmp6') words.push('icmpv6', 'type', String(transport.type));
  else words.push('meta', 'l4proto', String(ip.protocol));
  return words;
}

function ebtablesSpec(packet: Packet, server: Side): string[] {
  const { ip } = packet;
  if (ip === undefined) return [];
  const six = ip.version === 6 ? '6' : '';
  const words = ['-p', ip.version === 4 ? 'IPv4' : 'IPv6', server === 'destination' ? `--ip${six}-dst` : `--ip${six}-src`, server === 'destination' ? ip.destination : ip.source, `--ip${six}-proto`, ip.protocol === 58 ? 'ipv6-icmp' : protocolName(ip.protocol)];
  const ports = ported(packet);
  if (ports !== undefined) words.push(server === 'destination' ? `--ip${six}-dport` : `--ip${six}-sport`, String(server === 'destination' ? ports.destinationPort : ports.sourcePort));
  return words;
}

function arpSpec(table: Table, packet: Packet, hook: HookPoint): string[] {
  const { arp } = packet;
  if (arp === undefined) return [];
  const out = hook.hook === 'output';
  if (table.tool === 'nft') return table.family === 'arp' ? ['arp', out ? 'daddr' : 'saddr', 'ip', out ? arp.target : arp.sender] : ['ether', 'saddr', arp.senderMac];
  return table.tool === 'ebtables' ? ['-s', arp.senderMac] : out ? ['-d', arp.target] : ['-s', arp.sender];
}

/** The same for what comes back: only frames on a bridge need it said apart (the reverse of an ARP exchange). */
export function reverseFrameSpec(table: Table, packet: Packet): string[] | undefined {
  if (packet.arp === undefined || table.family !== 'bridge') return undefined;
  return table.tool === 'nft' ? ['ether', 'daddr', packet.arp.senderMac] : ['-d', packet.arp.senderMac];
}

/** The packet that would answer this one, at the hook where the answer passes. */
export function answerOf(drop: DropEvent, hook: HookPoint, out: string | undefined): { drop: DropEvent; hook: HookPoint } | undefined {
  const { ip, transport } = drop.packet;
  const ct = drop.conntrack;
  if (ip === undefined || (ct !== undefined && ct.info !== 7 && ct.info >= 3)) return undefined;
  const opposite = hook.hook === 'input' ? 'output' : hook.hook === 'output' ? 'input' : hook.hook === 'forward' ? 'forward' : undefined;
  if (opposite === undefined) return undefined;
  const swapped: Packet['transport'] =
    transport === undefined ? undefined
    : transport.kind === 'tcp' ? { ...transport, sourcePort: transport.destinationPort, destinationPort: transport.sourcePort, flags: (transport.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK)) === TCP_FLAG.SYN ? TCP_FLAG.SYN | TCP_FLAG.ACK : TCP_FLAG.ACK }
    : 'sourcePort' in transport ? { ...transport, sourcePort: transport.destinationPort, destinationPort: transport.sourcePort }
    : transport.kind === 'icmp' && transport.type === 8 ? { ...transport, type: 0 }
    : transport.kind === 'icmp6' && transport.type === 128 ? { ...transport, type: 129 }
    : transport;
  const { interface: device, conntrack: _ct, packet, ...rest } = drop;
  const frame = packet.ethernet === undefined ? {} : { ethernet: { ...packet.ethernet, source: packet.ethernet.destination, destination: packet.ethernet.source } };
  const name = hook.hook === 'output' || hook.hook === 'forward' ? out : undefined;
  return {
    hook: { ...hook, hook: opposite },
    drop: {
      ...rest, softirq: true, incoming: 0,
      ...(name === undefined ? (hook.hook === 'forward' && hook.bridged && device !== undefined ? { interface: device } : {}) : { interface: name }),
      ...(ct === undefined ? {} : { conntrack: { ...ct, info: ct.info === 7 ? 7 : 3 } }),
      packet: { ...packet, ...frame, ip: { ...ip, source: ip.destination, destination: ip.source, ttl: 64 }, ...(swapped === undefined ? {} : { transport: swapped }) },
    },
  };
}

/**
 * Names the conversations that one accept would let through: a verdict whose remedy is for a flow is about them, not
 * about all that the rule or policy drops. `background` is chatter that a link carries anyway and nobody waits for.
 */
export function conversation(drop: DropEvent): string {
  const { packet } = drop;
  const { ip, transport, arp } = packet;
  if (ip === undefined) return arp === undefined ? 'frames' : `arp ${arp.sender}`;
  if (isNeighbourDiscovery(packet)) return 'neighbour discovery';
  if (isBackground(packet)) return 'background';
  const server = serverSide(drop);
  const ports = ported(packet);
  const port = ports === undefined ? '' : server === 'destination' ? ports.destinationPort : ports.sourcePort;
  const type = transport?.kind === 'icmp' || transport?.kind === 'icmp6' ? transport.type : '';
  return `${protocolName(ip.protocol)} ${server} ${server === 'destination' ? ip.destination : ip.source} ${port}${type}`;
}

const CHATTER: ReadonlySet<number> = new Set([137, 138, 1900, 3702, 5353, 5355]); //   NetBIOS, SSDP, WS-Discovery, mDNS, LLMNR

function isBackground(packet: Packet): boolean {
  const { ip, transport } = packet;
  if (ip === undefined) return false;
  if (ip.protocol === 2) return true; //   IGMP
  if (transport?.kind === 'icmp6') return (transport.type >= 130 && transport.type <= 134) || transport.type === 143; //   MLD, router discovery
  return transport?.kind === 'udp' && CHATTER.has(transport.destinationPort);
}
