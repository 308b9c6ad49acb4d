import { endpoint } from '../base/inet.ts';
import { assertNever } from '../base/assert.ts';
import type { Flow, Packet, Transport } from './packet.ts';

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 33: 'dccp', 58: 'icmp6', 132: 'sctp', 136: 'udplite' };

/** `udp`, or the number as text for protocols without ports or names here. */
export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? String(protocol);
}

/** Who talks to whom in the outermost packet: with ports where the transport has them. Undefined without addresses. */
export function flowOf(packet: Packet): Flow | undefined {
  const { arp, ip, transport } = packet;
  if (arp !== undefined) return { protocol: 'arp', source: arp.sender, destination: arp.target };
  if (ip === undefined) return undefined;
  const ports = transport === undefined ? undefined : portsOf(transport);
  return { protocol: protocolName(ip.protocol), source: endpoint(ip.source, ports?.source), destination: endpoint(ip.destination, ports?.destination) };
}

export function portsOf(t: Transport): { readonly source: number; readonly destination: number } | undefined {
  switch (t.kind) {
    case 'udp': case 'tcp': case 'sctp': case 'dccp': case 'udplite': return { source: t.sourcePort, destination: t.destinationPort };
    case 'icmp': case 'icmp6': case 'other': return undefined;
    default: return assertNever(t, 'transport');
  }
}
