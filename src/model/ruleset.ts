/**
 * The rules of one network namespace in one shape, whichever tool wrote them: nft, iptables and ip6tables (both
 * backends), ebtables, arptables, ipset. Decoders in formats/ make it, evidence/rules matches packets against it.
 */
export interface Ruleset {
  readonly tables: readonly Table[];
  readonly ipsets: ReadonlyMap<string, Ipset>;
}

export type RuleFamily = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';
/** Which kernel engine evaluates the table: nf_tables, or the older x_tables (ip_tables.ko, ebtables.ko…). */
export type Engine = 'nft' | 'legacy';
export type HookName = 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'egress' | 'brouting';

export interface Table {
  readonly engine: Engine;
  /** The command that manages it, as one would type it: `nft`, `iptables`, `ip6tables-legacy`, `ebtables`, `arptables`. */
  readonly tool: string;
  readonly family: RuleFamily;
  readonly name: string;
  readonly handle?: number;
  readonly chains: ReadonlyMap<string, Chain>;
  readonly sets: ReadonlyMap<string, NamedSet>;
}

export interface Chain {
  readonly name: string;
  readonly handle?: number;
  readonly base?: BaseChain;
  readonly rules: readonly Rule[];
}

export interface BaseChain {
  readonly type: string; //   filter, nat, route
  readonly hook: HookName;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  /** netdev family; undefined where the listing does not say (nft 1.0.6 leaves it out of its JSON). */
  readonly devices?: readonly string[];
  /** Packets that met the policy; iptables-legacy only. */
  readonly counter?: Counter;
}

export interface Counter {
  readonly packets: number;
  readonly bytes: number;
}

export interface Rule {
  readonly table: string;
  readonly chain: string;
  /** 1-based, as `iptables -L --line-numbers` counts. */
  readonly position: number;
  readonly handle?: number;
  /** As the tool prints it, without `-A CHAIN`: the words that delete it again. nft: rendered from its JSON. */
  readonly text: string;
  readonly comment?: string;
  readonly counter?: Counter;
  /** All must hold, in this order. */
  readonly matches: readonly Match[];
  readonly action: Action;
  /** What it changes on a packet that it matches. */
  readonly effects: readonly Effect[];
}

export type Action =
  | { readonly do: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly do: 'reject'; readonly answer: string } //          what the sender is told: tcp reset, icmp port-unreachable
  | { readonly do: 'queue'; readonly first: number; readonly last: number; readonly bypass: boolean }
  | { readonly do: 'jump' | 'goto'; readonly chain: string }
  | { readonly do: 'map'; readonly keys: readonly Operand[]; readonly set: string | readonly Element[] } //   verdict map
  /** The packet leaves the hook in another way (TPROXY, SYNPROXY, fwd, TEE's original stays). */
  | { readonly do: 'steal'; readonly text: string };

export interface Effect {
  readonly kind: 'payload' | 'ttl' | 'dscp' | 'mark' | 'ct-mark' | 'nat' | 'notrack' | 'mss' | 'mac' | 'other';
  readonly text: string;
}

export type Match =
  /** The values of `keys`, side by side, are one of the elements (or none of them, with `negate`). */
  | { readonly kind: 'lookup'; readonly keys: readonly Operand[]; readonly set: string | readonly Element[]; readonly negate: boolean; readonly text: string }
  | { readonly kind: 'ipset'; readonly set: string; readonly directions: readonly ('src' | 'dst')[]; readonly negate: boolean; readonly text: string }
  /** One of these, or none with `negate`. */
  | { readonly kind: 'any'; readonly of: readonly Match[]; readonly negate: boolean; readonly text: string }
  /** Depends on earlier packets, on time or on chance: a packet that gets this far could match. */
  | { readonly kind: 'stateful'; readonly what: string; readonly text: string }
  /** Needs something that a captured packet head does not tell, or is not understood. */
  | { readonly kind: 'opaque'; readonly what: string; readonly text: string };

/** A field of the packet, with an optional bit mask applied before comparing. */
export interface Operand {
  readonly key: Key;
  readonly mask?: number | bigint;
}

/**
 * What a packet can be asked. `tcp.dport` exists on TCP alone, `th.dport` on every protocol with ports. Addresses
 * are numbers (IPv4, MAC) or bigints (IPv6); names of interfaces are strings.
 */
export type Key =
  | 'iifname' | 'oifname' | 'physin' | 'physout' | 'ibrname' | 'obrname' | 'nfproto' | 'l4proto' | 'protocol' | 'mark' | 'length' | 'pkttype' | 'cpu'
  | 'ether.saddr' | 'ether.daddr' | 'ether.type' | 'vlan.id'
  | 'ip.version' | 'ip.saddr' | 'ip.daddr' | 'ip.protocol' | 'ip.ttl' | 'ip.length' | 'ip.id' | 'ip.dscp' | 'ip.ecn' | 'ip.tos' | 'ip.frag' | 'ip.hdrlength'
  | 'ip6.saddr' | 'ip6.daddr' | 'ip6.nexthdr' | 'ip6.hoplimit' | 'ip6.length' | 'ip6.dscp' | 'ip6.ecn'
  | 'th.sport' | 'th.dport' | 'tcp.sport' | 'tcp.dport' | 'udp.sport' | 'udp.dport' | 'sctp.sport' | 'sctp.dport' | 'dccp.sport' | 'dccp.dport' | 'udplite.sport' | 'udplite.dport'
  | 'tcp.flags' | 'tcp.sequence' | 'tcp.ackseq' | 'tcp.window' | 'tcp.option' | 'udp.length' | 'udp.checksum'
  | 'icmp.type' | 'icmp.code' | 'icmp.id' | 'icmp.sequence' | 'icmp.mtu' | 'icmpv6.type' | 'icmpv6.code' | 'icmpv6.id' | 'icmpv6.sequence' | 'icmpv6.mtu'
  | 'arp.operation' | 'arp.saddr' | 'arp.daddr' | 'arp.smac' | 'arp.dmac' | 'arp.htype' | 'arp.ptype' | 'arp.hlen' | 'arp.plen'
  | 'ct.state' | 'ct.status' | 'ct.direction' | 'ct.mark' | 'ct.protocol' | 'ct.original.saddr' | 'ct.original.daddr' | 'ct.original.sport' | 'ct.original.dport'
  | 'ct.reply.saddr' | 'ct.reply.daddr' | 'ct.reply.sport' | 'ct.reply.dport'
  | 'skuid' | 'skgid' | 'addrtype.source' | 'addrtype.destination' | 'cgroup2';

export type Value = number | bigint | string;

/** Inclusive. A string may end in `*`: any name that begins so. */
export interface Span {
  readonly low: Value;
  readonly high: Value;
}

export interface Element {
  readonly parts: readonly Span[]; //   one for each key
  /** As the tool would take it to delete it: `10.0.0.1`, `10.0.0.0/24 . 80-90`. */
  readonly text: string;
  readonly action?: Action; //          verdict maps
  readonly except?: boolean; //         ipset's nomatch
  readonly counter?: Counter;
  readonly expires?: number; //         seconds left
}

export interface NamedSet {
  readonly name: string;
  readonly handle?: number;
  readonly elements: readonly Element[];
  /** Rules add elements at run time: what is listed now need not be what was there. */
  readonly dynamic: boolean;
  readonly map: boolean;
}

export interface Ipset {
  readonly name: string;
  readonly type: string; //             hash:ip,port
  readonly family: 4 | 6;
  readonly entries: readonly IpsetEntry[];
}

export interface IpsetEntry {
  readonly text: string; //             10.0.0.3,tcp:80: what `ipset del SET …` takes
  readonly except: boolean;
  readonly parts: readonly IpsetPart[];
}

export type IpsetPart =
  | { readonly part: 'net'; readonly span: Span }
  | { readonly part: 'port'; readonly protocol?: number; readonly span: Span }
  | { readonly part: 'mac' | 'mark'; readonly span: Span }
  | { readonly part: 'iface'; readonly name: string }
  | { readonly part: 'set'; readonly name: string };

/** `ip filter INPUT`, as one speaks of a chain. */
export function chainText(table: Table, chain: string): string {
  return table.tool === 'nft' ? `${table.family} ${table.name} ${chain}` : `${table.tool} ${table.name} ${chain}`;
}
