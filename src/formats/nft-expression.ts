import type { Element, Key, Match, Operand, Span, Value } from '../model/ruleset.ts';
import { addressSpan, exactly, ip4Bits, ip6Bits, macBits, prefixSpan } from './address-bits.ts';
import { ARP_OPERATIONS, CT_STATES, CT_STATUS, DSCP, ETHERTYPES, ICMP6_CODES, ICMP6_TYPES, ICMP_CODES, ICMP_TYPES, PKTTYPES, PROTOCOLS, TCP_FLAGS } from './protocol-names.ts';
import { expressionText } from './nft-text.ts';

/** Expressions of `nft -j` (libnftables-json(5)), 0.9 to 1.1, as matches of the neutral model. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export const isObject = (json: Json | undefined): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json);

const META: Readonly<Record<string, Key>> = {
  iif: 'iifname', iifname: 'iifname', oif: 'oifname', oifname: 'oifname', nfproto: 'nfproto', l4proto: 'l4proto', protocol: 'protocol', mark: 'mark', length: 'length', pkttype: 'pkttype', cpu: 'cpu',
  ibrname: 'ibrname', obrname: 'obrname', ibriport: 'physin', ibriportname: 'physin', obriport: 'physout', obriportname: 'physout', skuid: 'skuid', skgid: 'skgid',
};
const PAYLOAD: Readonly<Record<string, Key>> = {
  'ether saddr': 'ether.saddr', 'ether daddr': 'ether.daddr', 'ether type': 'ether.type', 'vlan id': 'vlan.id',
  'ip version': 'ip.version', 'ip saddr': 'ip.saddr', 'ip daddr': 'ip.daddr', 'ip protocol': 'ip.protocol', 'ip ttl': 'ip.ttl', 'ip length': 'ip.length', 'ip id': 'ip.id', 'ip dscp': 'ip.dscp', 'ip ecn': 'ip.ecn', 'ip frag-off': 'ip.frag', 'ip hdrlength': 'ip.hdrlength',
  'ip6 saddr': 'ip6.saddr', 'ip6 daddr': 'ip6.daddr', 'ip6 nexthdr': 'ip6.nexthdr', 'ip6 hoplimit': 'ip6.hoplimit', 'ip6 length': 'ip6.length', 'ip6 dscp': 'ip6.dscp', 'ip6 ecn': 'ip6.ecn',
  'th sport': 'th.sport', 'th dport': 'th.dport', 'tcp sport': 'tcp.sport', 'tcp dport': 'tcp.dport', 'udp sport': 'udp.sport', 'udp dport': 'udp.dport', 'sctp sport': 'sctp.sport', 'sctp dport': 'sctp.dport',
  'dccp sport': 'dccp.sport', 'dccp dport': 'dccp.dport', 'udplite sport': 'udplite.sport', 'udplite dport': 'udplite.dport',
  'tcp flags': 'tcp.flags', 'tcp sequence': 'tcp.sequence', 'tcp ackseq': 'tcp.ackseq', 'tcp window': 'tcp.window', 'udp length': 'udp.length', 'udp checksum': 'udp.checksum',
  'icmp type': 'icmp.type', 'icmp code': 'icmp.code', 'icmp id': 'icmp.id', 'icmp sequence': 'icmp.sequence', 'icmp mtu': 'icmp.mtu',
  'icmpv6 type': 'icmpv6.type', 'icmpv6 code': 'icmpv6.code', 'icmpv6 id': 'icmpv6.id', 'icmpv6 sequence': 'icmpv6.sequence', 'icmpv6 mtu': 'icmpv6.mtu',
  'arp operation': 'arp.operation', 'arp saddr ip': 'arp.saddr', 'arp daddr ip': 'arp.daddr', 'arp saddr ether': 'arp.smac', 'arp daddr ether': 'arp.dmac', 'arp htype': 'arp.htype', 'arp ptype': 'arp.ptype', 'arp hlen': 'arp.hlen', 'arp plen': 'arp.plen',
};
const CT: Readonly<Record<string, Key>> = {
  state: 'ct.state', status: 'ct.status', direction: 'ct.direction', mark: 'ct.mark', protocol: 'ct.protocol', 'original protocol': 'ct.protocol',
  'original saddr': 'ct.original.saddr', 'original daddr': 'ct.original.daddr', 'original proto-src': 'ct.original.sport', 'original proto-dst': 'ct.original.dport',
  'reply saddr': 'ct.reply.saddr', 'reply daddr': 'ct.reply.daddr', 'reply proto-src': 'ct.reply.sport', 'reply proto-dst': 'ct.reply.dport',
};

/** The packet field that an expression reads, or undefined where the model has none. */
export function operandOf(json: Json | undefined): Operand | undefined {
  if (!isObject(json)) return undefined;
  const masked = json['&'];
  if (Array.isArray(masked)) {
    const inner = operandOf(masked[0]);
    if (inner === undefined) return undefined;
    const mask = bitsOf(inner.key, masked[1]);
    return mask === undefined ? undefined : { key: inner.key, mask };
  }
  const key = keyOf(json);
  return key === undefined ? undefined : { key };
}

function keyOf(json: JsonObject): Key | undefined {
  const { meta, payload, ct } = json;
  if (isObject(meta)) return META[String(meta['key'])];
  if (typeof meta === 'string') return META[meta];
  if (isObject(payload)) {
    if (payload['base'] === 'th' && payload['len'] === 16) return payload['offset'] === 0 ? 'th.sport' : payload['offset'] === 16 ? 'th.dport' : undefined;
    return PAYLOAD[`${String(payload['protocol'])} ${String(payload['field'])}`];
  }
  if (isObject(ct)) {
    const name = String(ct['key']).replace(/^ip6? /, '');
    return CT[typeof ct['dir'] === 'string' ? `${ct['dir']} ${name}` : name];
  }
  return undefined;
}

/** The key that decides how elements of a set of this type are read. */
const TYPES: Readonly<Record<string, Key>> = {
  ipv4_addr: 'ip.saddr', ipv6_addr: 'ip6.saddr', ether_addr: 'ether.saddr', inet_proto: 'l4proto', inet_service: 'th.dport', mark: 'mark', ifname: 'iifname', iface_index: 'iifname', ct_state: 'ct.state', ct_status: 'ct.status',
  ct_dir: 'ct.direction', icmp_type: 'icmp.type', icmpv6_type: 'icmpv6.type', icmp_code: 'icmp.code', icmpv6_code: 'icmpv6.code', tcp_flag: 'tcp.flags', ether_type: 'ether.type', pkt_type: 'pkttype', dscp: 'ip.dscp', arp_op: 'arp.operation', nf_proto: 'nfproto', uid: 'skuid', gid: 'skgid',
};

export function setKeys(type: Json | undefined): readonly (Key | undefined)[] {
  if (isObject(type) && type['typeof'] !== undefined) {
    const of = type['typeof'];
    const list = isObject(of) && Array.isArray(of['concat']) ? (of['concat'] as readonly Json[]) : [of];
    return list.map((e) => operandOf(e)?.key);
  }
  const list = Array.isArray(type) ? (type as readonly Json[]) : [type];
  return list.map((t) => (typeof t === 'string' ? TYPES[t] : undefined));
}

function named(key: Key | undefined): ReadonlyMap<string, number> | undefined {
  switch (key) {
    case 'l4proto': case 'ip.protocol': case 'ip6.nexthdr': case 'ct.protocol': return PROTOCOLS;
    case 'ether.type': case 'protocol': case 'arp.ptype': return ETHERTYPES;
    case 'icmp.type': return ICMP_TYPES;
    case 'icmp.code': return ICMP_CODES;
    case 'icmpv6.type': return ICMP6_TYPES;
    case 'icmpv6.code': return ICMP6_CODES;
    case 'ct.state': return CT_STATES;
    case 'ct.status': return CT_STATUS;
    case 'ct.direction': return DIRECTIONS;
    case 'tcp.flags': return TCP_FLAGS;
    case 'ip.dscp': case 'ip6.dscp': return DSCP;
    case 'pkttype': return PKTTYPES;
    case 'arp.operation': return ARP_OPERATIONS;
    case 'nfproto': return NFPROTOS;
    default: return undefined;
  }
}
const DIRECTIONS: ReadonlyMap<string, number> = new Map([['original', 0], ['reply', 1]]);
const NFPROTOS: ReadonlyMap<string, number> = new Map([['ipv4', 2], ['ipv6', 10]]);
const NAMES: ReadonlySet<Key> = new Set<Key>(['iifname', 'oifname', 'physin', 'physout', 'ibrname', 'obrname']);

/** One constant, as `key` understands it. */
export function valueOf(key: Key | undefined, json: Json | undefined): Value | undefined {
  if (typeof json === 'boolean') return json ? 1 : 0;
  if (typeof json === 'number') return key !== undefined && NAMES.has(key) ? String(json) : json;
  if (typeof json !== 'string') return undefined;
  if (key !== undefined && NAMES.has(key)) return json;
  const known = named(key)?.get(json.toLowerCase());
  if (known !== undefined) return known;
  if (/^(0x[0-9a-fA-F]+|\d+)$/.test(json)) return Number(json);
  return ip4Bits(json) ?? ip6Bits(json) ?? macBits(json) ?? (key === undefined ? json : undefined);
}

/** Flags: a name, a number, a list, or `{"|": […]}` of them, as one number. */
function bitsOf(key: Key, json: Json | undefined): number | bigint | undefined {
  const list = Array.isArray(json) ? (json as readonly Json[]) : isObject(json) && Array.isArray(json['|']) ? (json['|'] as readonly Json[]) : undefined;
  if (list === undefined) {
    const one = valueOf(key, json);
    return typeof one === 'string' ? undefined : one;
  }
  let bits = 0;
  for (const item of list) {
    const one = bitsOf(key, item);
    if (typeof one !== 'number') return undefined;
    bits |= one;
  }
  return bits;
}

export function spanOf(key: Key | undefined, json: Json | undefined): Span | undefined {
  if (isObject(json)) {
    const { prefix, range } = json;
    if (isObject(prefix) && typeof prefix['addr'] === 'string' && typeof prefix['len'] === 'number') return addressSpan(`${prefix['addr']}/${prefix['len']}`);
    if (isObject(prefix) && typeof prefix['addr'] === 'number' && typeof prefix['len'] === 'number') return prefixSpan(prefix['addr'], prefix['len']);
    if (Array.isArray(range) && range.length === 2) {
      const low = valueOf(key, range[0]);
      const high = valueOf(key, range[1]);
      return low === undefined || high === undefined || typeof low !== typeof high ? undefined : { low, high };
    }
    if (isObject(json['elem'])) return spanOf(key, json['elem']['val']);
    if (key !== undefined && json['|'] !== undefined) {
      const bits = bitsOf(key, json);
      return bits === undefined ? undefined : exactly(bits);
    }
    return undefined;
  }
  if (Array.isArray(json) && key !== undefined) {
    const bits = bitsOf(key, json);
    return bits === undefined ? undefined : exactly(bits);
  }
  if (json === '*') return { low: key === undefined || NAMES.has(key) ? '*' : 0, high: key === undefined || NAMES.has(key) ? '*' : Number.MAX_SAFE_INTEGER };
  const value = valueOf(key, json);
  return value === undefined ? undefined : exactly(value);
}

/** An element of a set whose keys are known; undefined when a part cannot be read. */
export function elementOf(keys: readonly (Key | undefined)[], json: Json): Element | undefined {
  const wrapped = isObject(json) && isObject(json['elem']) ? json['elem'] : undefined;
  const value = wrapped === undefined ? json : (wrapped['val'] ?? null);
  const list = isObject(value) && Array.isArray(value['concat']) ? (value['concat'] as readonly Json[]) : [value];
  const parts: Span[] = [];
  for (const [i, item] of list.entries()) {
    const span = spanOf(keys[i], item);
    if (span === undefined) return undefined;
    parts.push(span);
  }
  const counter = wrapped !== undefined && isObject(wrapped['counter']) ? wrapped['counter'] : undefined;
  const expires = wrapped?.['expires'];
  return {
    parts, text: expressionText(value),
    ...(counter === undefined ? {} : { counter: { packets: Number(counter['packets'] ?? 0), bytes: Number(counter['bytes'] ?? 0) } }),
    ...(typeof expires === 'number' ? { expires } : {}),
  };
}

export function operandsOf(left: Json | undefined): readonly Operand[] | undefined {
  const list = isObject(left) && Array.isArray(left['concat']) ? (left['concat'] as readonly Json[]) : [left];
  const operands = list.map(operandOf);
  return operands.every((o): o is Operand => o !== undefined) ? operands : undefined;
}

/** `{"match": {"op", "left", "right"}}` */
export function matchOf(json: JsonObject): Match {
  const { op, left, right } = json;
  const text = expressionText({ match: json });
  const opaque = (what: string): Match => ({ kind: 'opaque', what, text });
  if (isObject(left) && left['numgen'] !== undefined) return { kind: 'stateful', what: 'numgen', text };
  const keys = operandsOf(left);
  if (keys === undefined) return opaque(isObject(left) ? (Object.keys(left)[0] ?? 'expression') : 'expression');
  const first = keys[0] as Operand;
  const lookup = (set: string | readonly Element[], negate: boolean): Match => ({ kind: 'lookup', keys, set, negate, text });
  const one = (span: Span, negate = false): Match => lookup([{ parts: [span], text: isObject(right) || Array.isArray(right) ? expressionText(right as Json) : String(right) }], negate);
  switch (op) {
    case 'in': case '!': {
      const mask = bitsOf(first.key, right);
      return typeof mask !== 'number' ? opaque('bits') : { kind: 'lookup', keys: [{ key: first.key, mask }], set: [{ parts: [exactly(0)], text: '0' }], negate: op === 'in', text };
    }
    case '<': case '>': case '<=': case '>=': {
      const value = valueOf(first.key, right);
      if (typeof value !== 'number' && typeof value !== 'bigint') return opaque('comparison');
      if (typeof value === 'bigint') return one(op === '<' ? { low: 0n, high: value - 1n } : op === '<=' ? { low: 0n, high: value } : { low: op === '>' ? value + 1n : value, high: (1n << 128n) - 1n });
      return one(op === '<' ? { low: 0, high: value - 1 } : op === '<=' ? { low: 0, high: value } : { low: op === '>' ? value + 1 : value, high: Number.MAX_SAFE_INTEGER });
    }
    case '==': case '!=': case undefined: {
      const negate = op === '!=';
      if (typeof right === 'string' && right.startsWith('@')) return lookup(right.slice(1), negate);
      if (isObject(right) && right['set'] !== undefined) {
        const items = Array.isArray(right['set']) ? (right['set'] as readonly Json[]) : [right['set']];
        const elements = items.map((i) => elementOf(keys.map((k) => k.key), i));
        return elements.every((e): e is Element => e !== undefined) ? lookup(elements, negate) : opaque('set');
      }
      if (isObject(right) && Array.isArray(right['concat'])) {
        const element = elementOf(keys.map((k) => k.key), right);
        return element === undefined ? opaque('concatenation') : lookup([element], negate);
      }
      const span = spanOf(first.key, right);
      return span === undefined ? opaque('value') : one(span, negate);
    }
    default: return opaque(`operator ${String(op)}`);
  }
}
