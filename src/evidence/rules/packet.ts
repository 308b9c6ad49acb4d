import { addressBits, ip4Bits, ip6Bits, macBits } from '../../formats/address-bits.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Packet } from '../../model/packet.ts';
import type { Key, Value } from '../../model/ruleset.ts';
import type { HookPoint } from './hook.ts';

/** The packet does not have this field: a rule that asks for it does not match, negated or not. */
export const ABSENT: unique symbol = Symbol('absent');
export type FieldValue = Value | typeof ABSENT | undefined; //   undefined: not known

/** What the packet's own bytes do not tell, looked up only when a rule asks. */
export interface Surroundings {
  /** Name of the interface that the packet would leave by. */
  out?(): string | undefined;
  /** Name of an interface index. */
  name?(ifindex: number): string | undefined;
  /** Name of the bridge that a port belongs to. */
  bridgeOf?(port: string): string | undefined;
}

/** A packet at a hook, as rules see it. */
export interface PacketView {
  readonly drop: DropEvent;
  readonly hook: HookPoint;
  readonly around: Surroundings;
  readonly cache: Partial<Record<Key, FieldValue>>;
}

export function packetView(drop: DropEvent, hook: HookPoint, around: Surroundings = {}): PacketView {
  return { drop, hook, around, cache: {} };
}

export function field(view: PacketView, key: Key): FieldValue {
  const known = view.cache[key];
  if (known !== undefined) return known;
  const value = read(view, key);
  if (value !== undefined) view.cache[key] = value;
  return value;
}

function read(view: PacketView, key: Key): FieldValue {
  const { drop, hook } = view;
  const { ip, transport, ethernet, arp } = drop.packet;
  const section = key.slice(0, key.indexOf('.') + 1);
  switch (section) {
    case 'ip.': return ip === undefined ? notIp(drop, 0x0800) : key === 'ip.length' ? ip.totalLength : ip.version !== 4 ? ABSENT : ipField(drop.packet, key);
    case 'ip6.': return ip === undefined ? notIp(drop, 0x86dd) : ip.version !== 6 ? ABSENT : ipField(drop.packet, key);
    case 'th.': case 'tcp.': case 'udp.': case 'sctp.': case 'dccp.': case 'udplite.': case 'icmp.': case 'icmpv6.': return transportField(drop, key);
    case 'arp.': return arp === undefined ? (drop.protocol === 0x0806 ? undefined : ABSENT) : arpField(arp, key);
    case 'ether.': case 'vlan.': return etherField(view, key);
    case 'ct.': return conntrackField(drop, key);
    case 'addrtype.': return addressType(view, key === 'addrtype.source');
    default: break;
  }
  switch (key) {
    case 'iifname': return incoming(view);
    case 'oifname': return outgoing(view);
    case 'physin': return hook.family === 'bridge' ? incoming(view) : hook.bridged ? nameOf(view, drop.incoming) : cameByBridge(drop) ? undefined : '';
    case 'physout': return hook.family === 'bridge' ? outgoing(view) : hook.bridged && hook.hook !== 'prerouting' ? drop.interface : '';
    case 'ibrname': { const port = incoming(view); return typeof port === 'string' && port !== '' ? view.around.bridgeOf?.(port) : ''; }
    case 'obrname': { const port = outgoing(view); return typeof port === 'string' && port !== '' ? view.around.bridgeOf?.(port) : ''; }
    case 'nfproto': return drop.protocol === 0x0800 ? 2 : drop.protocol === 0x86dd ? 10 : ABSENT;
    case 'l4proto': return ip === undefined ? (drop.protocol === 0x0800 || drop.protocol === 0x86dd || drop.protocol === 0 ? undefined : ABSENT) : ip.protocol;
    case 'protocol': return ethernet?.vlan !== undefined && hook.family !== 'ip' && hook.family !== 'ip6' ? undefined : drop.protocol;
    case 'mark': return drop.mark;
    case 'length': return drop.length;
    case 'cpu': return drop.cpu;
    case 'pkttype': return packetType(view);
    case 'skuid': return owner(view, drop.task.uid);
    case 'skgid': return owner(view, undefined);
    case 'cgroup2': return undefined;
    default: return transport === undefined ? undefined : ABSENT;
  }
}

/** br_netfilter remembers the port of a frame that the bridge handed up to be routed; the packet's own fields do not. */
const cameByBridge = (drop: DropEvent): boolean => drop.stack.some((p) => p.name?.startsWith('br_') === true);

const notIp = (drop: DropEvent, ethertype: number): FieldValue => (drop.protocol === ethertype || drop.protocol === 0 ? undefined : ABSENT);

function ipField(packet: Packet, key: Key): FieldValue {
  const ip = packet.ip;
  if (ip === undefined) return undefined;
  switch (key) {
    case 'ip.saddr': return ip4Bits(ip.source);
    case 'ip.daddr': return ip4Bits(ip.destination);
    case 'ip6.saddr': return ip6Bits(ip.source);
    case 'ip6.daddr': return ip6Bits(ip.destination);
    case 'ip.version': return ip.version;
    case 'ip.protocol': case 'ip6.nexthdr': return ip.protocol;
    case 'ip.ttl': case 'ip6.hoplimit': return ip.ttl;
    case 'ip6.length': return ip.totalLength - 40;
    case 'ip.id': return ip.id;
    case 'ip.tos': return ip.tos;
    case 'ip.dscp': case 'ip6.dscp': return ip.tos >> 2;
    case 'ip.ecn': case 'ip6.ecn': return ip.tos & 3;
    case 'ip.hdrlength': return ip.headerLength >> 2;
    case 'ip.frag': return ((ip.dontFragment === true ? 2 : 0) | (ip.moreFragments === true ? 1 : 0)) * 8192 + ((ip.fragmentOffset ?? 0) >> 3); // in units of 8 bytes, as in the header
    default: return undefined;
  }
}

const PORTED: Readonly<Record<string, number>> = { 'tcp.': 6, 'udp.': 17, 'sctp.': 132, 'dccp.': 33, 'udplite.': 136, 'icmp.': 1, 'icmpv6.': 58 };

function transportField(drop: DropEvent, key: Key): FieldValue {
  const { ip, transport } = drop.packet;
  if (ip === undefined) return drop.protocol === 0x0800 || drop.protocol === 0x86dd || drop.protocol === 0 ? undefined : ABSENT;
  const wanted = PORTED[key.slice(0, key.indexOf('.') + 1)];
  if (wanted !== undefined && ip.protocol !== wanted) return ABSENT;
  if ((ip.fragmentOffset ?? 0) > 0) return ABSENT; //   a later fragment has no transport header
  if (transport === undefined) return undefined;
  const name = key.slice(key.indexOf('.') + 1);
  switch (transport.kind) {
    case 'tcp': case 'udp': case 'sctp': case 'dccp': case 'udplite':
      if (name === 'sport') return transport.sourcePort;
      if (name === 'dport') return transport.destinationPort;
      if (transport.kind === 'tcp') return name === 'flags' ? transport.flags : name === 'sequence' ? transport.sequence : name === 'ackseq' ? transport.acknowledgement : name === 'window' ? transport.window : undefined;
      return transport.kind === 'udp' ? (name === 'length' ? transport.length : name === 'checksum' ? transport.checksum : undefined) : undefined;
    case 'icmp': case 'icmp6':
      // nft reads the same bytes whatever the protocol: type and code, and the checksum (not kept)
      if (key.startsWith('th.')) return name === 'sport' ? transport.type * 256 + transport.code : undefined;
      return name === 'type' ? transport.type : name === 'code' ? transport.code : name === 'id' ? (transport.id ?? ABSENT) : name === 'sequence' ? (transport.sequence ?? ABSENT) : name === 'mtu' ? (transport.mtu ?? ABSENT) : undefined;
    case 'other': return undefined;
  }
}

function arpField(arp: NonNullable<Packet['arp']>, key: Key): FieldValue {
  switch (key) {
    case 'arp.operation': return arp.operation;
    case 'arp.saddr': return addressBits(arp.sender);
    case 'arp.daddr': return addressBits(arp.target);
    case 'arp.smac': return macBits(arp.senderMac);
    case 'arp.dmac': return macBits(arp.targetMac);
    case 'arp.htype': return 1; //     only Ethernet ARP for IPv4 is decoded
    case 'arp.ptype': return 0x0800;
    case 'arp.hlen': return 6;
    case 'arp.plen': return 4;
    default: return undefined;
  }
}

function etherField(view: PacketView, key: Key): FieldValue {
  const { ethernet } = view.drop.packet;
  const { hook } = view.hook;
  if (key === 'vlan.id') return ethernet === undefined ? undefined : (ethernet.vlan ?? ABSENT);
  if (key === 'ether.type') return view.drop.protocol !== 0 ? view.drop.protocol : ethernet?.type;
  if (ethernet === undefined) return (view.hook.family === 'ip' || view.hook.family === 'ip6') && (hook === 'output' || hook === 'postrouting') ? ABSENT : undefined;
  return macBits(key === 'ether.saddr' ? ethernet.source : ethernet.destination);
}

/** nf_conntrack_common.h: NF_CT_STATE_BIT(ctinfo) = 1 << (ctinfo % 3 + 1), INVALID 1, UNTRACKED 64. */
export function conntrackState(drop: DropEvent): number | undefined {
  const ct = drop.conntrack;
  if (ct === undefined) return drop.probe === 'bpf' ? 1 : undefined;
  return ct.info === 7 ? 64 : 1 << ((ct.info % 3) + 1);
}

function conntrackField(drop: DropEvent, key: Key): FieldValue {
  const ct = drop.conntrack;
  if (key === 'ct.state') return conntrackState(drop);
  if (ct === undefined) return drop.probe === 'bpf' ? ABSENT : undefined;
  if (ct.info === 7) return ABSENT;
  switch (key) {
    case 'ct.status': return ct.status;
    case 'ct.direction': return ct.info >= 3 ? 1 : 0;
    case 'ct.mark': return ct.mark;
    case 'ct.protocol': return ct.original?.protocol;
    case 'ct.original.saddr': return addressBits(ct.original?.source ?? '');
    case 'ct.original.daddr': return addressBits(ct.original?.destination ?? '');
    case 'ct.original.sport': return ct.original?.sourcePort;
    case 'ct.original.dport': return ct.original?.destinationPort;
    case 'ct.reply.saddr': return addressBits(ct.reply?.source ?? '');
    case 'ct.reply.daddr': return addressBits(ct.reply?.destination ?? '');
    case 'ct.reply.sport': return ct.reply?.sourcePort;
    case 'ct.reply.dport': return ct.reply?.destinationPort;
    default: return undefined;
  }
}

function nameOf(view: PacketView, ifindex: number | undefined): string | undefined {
  if (ifindex === undefined || ifindex === 0) return undefined;
  return ifindex === view.drop.ifindex && view.drop.interface !== undefined ? view.drop.interface : view.around.name?.(ifindex);
}

/** `skb->dev` is the incoming device up to FORWARD, the outgoing one from POSTROUTING on; at LOCAL_OUT there is none. */
function incoming(view: PacketView): FieldValue {
  const { drop, hook } = view;
  if (hook.bridged) return drop.interface === undefined ? undefined : view.around.bridgeOf?.(drop.interface);
  switch (hook.hook) {
    case 'output': case 'egress': return '';
    case 'postrouting': return drop.incoming === undefined || drop.incoming === 0 ? '' : nameOf(view, drop.incoming);
    case 'forward': return hook.family === 'bridge' ? nameOf(view, drop.incoming) : drop.interface;
    case 'prerouting': case 'input': case 'ingress': case 'brouting':
      return hook.family === 'bridge' && hook.hook === 'input' ? nameOf(view, drop.incoming) : drop.interface;
  }
}

function outgoing(view: PacketView): FieldValue {
  const { drop, hook } = view;
  if (hook.bridged) return hook.hook === 'prerouting' ? '' : drop.interface === undefined ? undefined : view.around.bridgeOf?.(drop.interface);
  switch (hook.hook) {
    case 'prerouting': case 'input': case 'ingress': case 'brouting': return '';
    case 'postrouting': case 'egress': return drop.interface;
    case 'forward': return hook.family === 'bridge' || hook.family === 'arp' ? drop.interface : view.around.out?.();
    case 'output': return hook.family === 'bridge' || hook.family === 'arp' ? drop.interface : view.around.out?.();
  }
}

function packetType(view: PacketView): FieldValue {
  const { ethernet, ip } = view.drop.packet;
  if (view.hook.hook === 'output') return 0;
  const destination = ethernet?.destination;
  if (destination !== undefined && destination !== '00:00:00:00:00:00') {
    if (destination === 'ff:ff:ff:ff:ff:ff') return 1;
    if ((Number.parseInt(destination.slice(0, 2), 16) & 1) === 1) return 2;
    return view.hook.family === 'bridge' || view.hook.family === 'netdev' ? undefined : 0;
  }
  const to = ip === undefined ? undefined : ip.version === 4 ? ip4Bits(ip.destination) : undefined;
  return to === undefined ? undefined : to === 0xffffffff ? 1 : to >= 0xe0000000 && to < 0xf0000000 ? 2 : undefined;
}

/** The owner match: whose file the socket is. In softirq the current task is somebody else. */
function owner(view: PacketView, value: number | undefined): FieldValue {
  const { drop, hook } = view;
  if (hook.hook !== 'output' && hook.hook !== 'postrouting') return undefined;
  if (drop.softirq) return drop.socket === undefined && drop.probe === 'bpf' ? ABSENT : undefined;
  return value;
}

function addressType(view: PacketView, source: boolean): FieldValue {
  const { ip } = view.drop.packet;
  if (ip === undefined) return undefined;
  const text = source ? ip.source : ip.destination;
  const bits = ip4Bits(text);
  if (bits === undefined ? /^ff/i.test(text) : bits >= 0xe0000000 && bits < 0xf0000000) return 'MULTICAST';
  if (bits === 0xffffffff) return 'BROADCAST';
  if (bits !== undefined && bits >= 0x7f000000 && bits < 0x80000000) return 'LOCAL';
  const { hook } = view.hook;
  if (hook === 'forward') return 'UNICAST';
  if (source) return hook === 'output' ? 'LOCAL' : hook === 'input' && view.drop.interface !== 'lo' ? 'UNICAST' : undefined;
  if (hook === 'input') return packetType(view) === 1 ? 'BROADCAST' : 'LOCAL';
  return undefined;
}
