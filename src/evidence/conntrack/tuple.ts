import { endpoint } from '../../base/inet.ts';
import type { ConntrackEntry, DropEvent, Tuple } from '../../model/event.ts';
import { protocolName } from '../../model/flow.ts';
import type { Packet } from '../../model/packet.ts';

/** The tuple that conntrack makes of a packet; undefined without addresses, for fragments and for ICMP errors. */
export function tupleOfPacket(packet: Packet): Tuple | undefined {
  const { ip, transport } = packet;
  if (ip === undefined || (ip.fragmentOffset ?? 0) !== 0 || packet.quoted !== undefined) return undefined;
  const head = { family: ip.version, protocol: ip.protocol, source: ip.source, destination: ip.destination };
  if (transport === undefined || transport.kind === 'other') return head;
  if (transport.kind === 'icmp' || transport.kind === 'icmp6') return { ...head, ...(transport.id === undefined ? {} : { sourcePort: transport.id }), destinationPort: (transport.type << 8) | transport.code };
  return 'sourcePort' in transport ? { ...head, sourcePort: transport.sourcePort, destinationPort: transport.destinationPort } : head;
}

/** The flow of a dropped packet as its first packet had it: by its own entry, which knows of address translation, else by its headers. */
export function tupleOfDrop(drop: DropEvent): Tuple | undefined {
  return drop.conntrack?.original ?? tupleOfPacket(drop.packet);
}

/** The same exchange seen from the other end. ICMP: the answer's type for the question's (echo, timestamp, information, address). */
export function inverse(t: Tuple): Tuple {
  const { source, destination, sourcePort, destinationPort, ...rest } = t;
  const turned = { ...rest, source: destination, destination: source };
  if (t.protocol === 1 || t.protocol === 58) return { ...turned, ...(sourcePort === undefined ? {} : { sourcePort }), ...(destinationPort === undefined ? {} : { destinationPort: (answerType(t.protocol, destinationPort >> 8) << 8) | (destinationPort & 0xff) }) };
  return { ...turned, ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }), ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }) };
}

/** invmap of nf_conntrack_proto_icmp.c and _icmpv6.c. */
const ANSWERS: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  1: { 8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 },
  58: { 128: 129, 129: 128, 139: 140, 140: 139 },
};

function answerType(protocol: number, type: number): number {
  return ANSWERS[protocol]?.[type] ?? type;
}

export function sameTuple(a: Tuple | undefined, b: Tuple | undefined): boolean {
  return a !== undefined && b !== undefined && a.protocol === b.protocol && a.source === b.source && a.destination === b.destination && a.sourcePort === b.sourcePort && a.destinationPort === b.destinationPort;
}

/** Whether two tuples belong to one exchange, whoever spoke first. */
export const sameExchange = (a: Tuple, b: Tuple): boolean => sameTuple(a, b) || sameTuple(a, inverse(b));

/** `udp 10.0.0.1:1194 → 10.0.0.2:1194`, `icmp 10.0.0.1 → 10.0.0.2 id 7` */
export function tupleText(t: Tuple): string {
  const name = protocolName(t.protocol);
  if (t.protocol === 1 || t.protocol === 58) return `${name} ${t.source} → ${t.destination}${t.sourcePort === undefined ? '' : ` id ${t.sourcePort}`}`;
  return `${name} ${endpoint(t.source, t.sourcePort)} → ${endpoint(t.destination, t.destinationPort)}`;
}

/** What address translation made of a flow: its reply is expected at another address or port than the one it came from. */
export interface Translation {
  readonly source?: { readonly from: string; readonly to: string };
  readonly destination?: { readonly from: string; readonly to: string };
  /** Only the source port changed. */
  readonly portOnly: boolean;
}

/** Undefined when the reply is simply the inverse: no translation, or a null binding that changed nothing. */
export function translationOf(entry: Pick<ConntrackEntry, 'original' | 'reply'>): Translation | undefined {
  const expected = inverse(entry.original);
  const icmp = entry.original.protocol === 1 || entry.original.protocol === 58;
  const sourcePort = icmp ? entry.reply.sourcePort : entry.reply.destinationPort;
  const wantedPort = icmp ? expected.sourcePort : expected.destinationPort;
  const addressMoved = entry.reply.destination !== expected.destination;
  const portMoved = sourcePort !== wantedPort;
  const peerMoved = entry.reply.source !== expected.source || (!icmp && entry.reply.sourcePort !== expected.sourcePort);
  if (!addressMoved && !portMoved && !peerMoved) return undefined;
  return {
    ...(addressMoved || portMoved ? { source: { from: endpoint(entry.original.source, entry.original.sourcePort), to: endpoint(entry.reply.destination, sourcePort) } } : {}),
    ...(peerMoved ? { destination: { from: endpoint(entry.original.destination, entry.original.destinationPort), to: endpoint(entry.reply.source, icmp ? entry.original.destinationPort : entry.reply.sourcePort) } } : {}),
    portOnly: portMoved && !addressMoved && !peerMoved,
  };
}
