import type { Element, Key, Match, Span } from '../model/ruleset.ts';
import { addressSpan, exactly, macBits, markAndMask } from './address-bits.ts';
import { CT_STATES, CT_STATUS, ICMP6_TYPES, ICMP_TYPES, PKTTYPES, PROTOCOLS, TCP_FLAGS } from './protocol-names.ts';
import { nextArgument, restOfOption, type Cursor, type Option } from './save-text.ts';

/** Matches of iptables-save(8), iptables-extensions(8). `module` is the latest `-m`, `family` 4 or 6. */
export interface MatchContext {
  readonly family: 4 | 6;
  module: string;
  protocol: number | undefined;
}

export const lookup = (key: Key, spans: readonly Span[], negate: boolean, text: string, mask?: number): Match => ({
  kind: 'lookup', keys: [mask === undefined ? { key } : { key, mask }], set: spans.map((s): Element => ({ parts: [s], text })), negate, text,
});

/** Modules whose answer depends on what came before, on the clock, or on chance. */
const STATEFUL: Readonly<Record<string, string>> = {
  limit: 'limit', hashlimit: 'hashlimit', connlimit: 'connlimit', quota: 'quota', recent: 'recent', statistic: 'statistic', connbytes: 'connbytes', rateest: 'rateest', nfacct: 'nfacct', time: 'time',
};

function ports(text: string): Span[] | undefined {
  const spans: Span[] = [];
  for (const part of text.split(',')) {
    const m = /^(\d*)(?::(\d*))?$/.exec(part);
    if (m === null || part === '') return undefined;
    const low = m[1] === '' ? 0 : Number(m[1]);
    spans.push({ low, high: m[2] === undefined ? low : m[2] === '' ? 65535 : Number(m[2]) });
  }
  return spans;
}

function numbers(text: string): Span[] | undefined {
  const m = /^(\d+)(?:[:-](\d+))?$/.exec(text);
  return m === null ? undefined : [{ low: Number(m[1]), high: Number(m[2] ?? m[1]) }];
}

export function protocolNumber(name: string): number | undefined {
  return PROTOCOLS.get(name.toLowerCase()) ?? (/^\d+$/.test(name) ? Number(name) : undefined);
}

/** `eth+` of iptables as `eth*`. */
export const interfacePattern = (name: string): string => (name.endsWith('+') ? `${name.slice(0, -1)}*` : name);

function bits(names: string, table: ReadonlyMap<string, number>): number | undefined {
  let all = 0;
  for (const name of names.split(',')) {
    const bit = table.get(name.toLowerCase());
    if (bit === undefined) return undefined;
    all |= bit;
  }
  return all;
}

/** One option as a match; undefined when it is no match (`-j`, `-m`, …) or adds nothing to one. */
export function matchOption(o: Option, c: Cursor, x: MatchContext): Match | undefined {
  const start = c.at;
  const ip = x.family === 4 ? 'ip' : 'ip6';
  const said = (): string => `${o.negate ? '! ' : ''}${o.name} ${c.words.slice(start, c.at).join(' ')}`.trim();
  const opaque = (what: string): Match => {
    restOfOption(c);
    return { kind: 'opaque', what, text: said() };
  };
  const spans = (key: Key, read: (text: string) => readonly Span[] | undefined, mask?: number): Match => {
    const found = read(nextArgument(c));
    return found === undefined ? opaque(`${o.name} ${c.words[c.at - 1] ?? ''}`) : lookup(key, found, o.negate, said(), mask);
  };
  const address = (text: string): readonly Span[] | undefined => {
    const span = addressSpan(text);
    return span === undefined ? undefined : [span];
  };
  const name = (text: string): readonly Span[] => [exactly(interfacePattern(text))];
  const number = (text: string): readonly Span[] | undefined => (/^(0x[0-9a-fA-F]+|\d+)$/.test(text) ? [exactly(Number(text))] : undefined);
  const marked = (key: Key): Match => {
    const mark = markAndMask(nextArgument(c));
    return mark === undefined ? opaque(o.name) : lookup(key, [exactly(mark.value)], o.negate, said(), mark.mask);
  };
  const ctBits = (key: Key, table: ReadonlyMap<string, number>): Match => {
    const words = nextArgument(c).replace(/\bNONE\b/, 'none');
    // SNAT and DNAT as states are bits of the entry's status
    const nat = words.split(',').filter((w) => /^[SD]NAT$/.test(w));
    const plain = words.split(',').filter((w) => !/^[SD]NAT$/.test(w) || key === 'ct.status').join(',');
    const mask = plain === '' ? 0 : bits(plain, table);
    if (mask === undefined) return opaque(o.name);
    const text = said();
    const of: Match[] = plain === '' ? [] : [lookup(key, [exactly(0)], true, text, mask)];
    if (key === 'ct.state') for (const w of nat) of.push(lookup('ct.status', [exactly(0)], true, text, w === 'SNAT' ? 16 : 32));
    return of.length === 1 && !o.negate ? (of[0] as Match) : of.length === 1 ? lookup(key, [exactly(0)], false, text, mask) : { kind: 'any', of, negate: o.negate, text };
  };
  switch (o.name) {
    case '-s': case '--source': return x.module === 'rt' ? opaque('rt') : spans(`${ip}.saddr`, address);
    case '-d': case '--destination': return spans(`${ip}.daddr`, address);
    case '-i': return spans('iifname', name);
    case '-o': return spans('oifname', name);
    case '-p': {
      const protocol = protocolNumber(nextArgument(c));
      if (protocol === undefined) return opaque(o.name);
      if (!o.negate) x.protocol = protocol;
      return protocol === 0 ? undefined : lookup('l4proto', [exactly(protocol)], o.negate, said());
    }
    case '-f': return { kind: 'lookup', keys: [{ key: 'ip.frag', mask: 0x1fff }], set: [{ parts: [exactly(0)], text: '0' }], negate: !o.negate, text: said() };
    case '--sport': case '--source-port': return spans('th.sport', ports);
    case '--dport': case '--destination-port': return spans('th.dport', ports);
    case '--sports': case '--source-ports': return spans('th.sport', ports);
    case '--dports': case '--destination-ports': return spans('th.dport', ports);
    case '--ports': {
      const found = ports(nextArgument(c));
      return found === undefined ? opaque('ports') : { kind: 'any', of: [lookup('th.sport', found, false, said()), lookup('th.dport', found, false, said())], negate: o.negate, text: said() };
    }
    case '--tcp-flags': {
      const mask = bits(nextArgument(c), TCP_FLAGS);
      const set = bits(nextArgument(c), TCP_FLAGS);
      return mask === undefined || set === undefined ? opaque('tcp flags') : lookup('tcp.flags', [exactly(set)], o.negate, said(), mask);
    }
    case '--syn': return lookup('tcp.flags', [exactly(2)], o.negate, said(), 23);
    case '--tcp-option': return spans('tcp.option', number);
    case '--icmp-type': case '--icmpv6-type': {
      const [type = '', code] = nextArgument(c).split('/');
      const v6 = o.name === '--icmpv6-type';
      const value = (v6 ? ICMP6_TYPES : ICMP_TYPES).get(type) ?? (/^\d+$/.test(type) ? Number(type) : undefined);
      if (type === 'any' || value === 255) return undefined;
      if (value === undefined) return opaque(o.name);
      const keys = v6 ? (['icmpv6.type', 'icmpv6.code'] as const) : (['icmp.type', 'icmp.code'] as const);
      if (code === undefined) return lookup(keys[0], [exactly(value)], o.negate, said());
      return { kind: 'lookup', keys: [{ key: keys[0] }, { key: keys[1] }], set: [{ parts: [exactly(value), exactly(Number(code))], text: `${type}/${code}` }], negate: o.negate, text: said() };
    }
    case '--ctstate': case '--state': return ctBits('ct.state', CT_STATES);
    case '--ctstatus': return ctBits('ct.status', new Map([...CT_STATUS, ['expected', 1], ['seen_reply', 2], ['assured', 4], ['confirmed', 8]]));
    case '--ctdir': return spans('ct.direction', (t) => (t === 'ORIGINAL' ? [exactly(0)] : t === 'REPLY' ? [exactly(1)] : undefined));
    case '--ctproto': return spans('ct.protocol', (t) => { const p = protocolNumber(t); return p === undefined ? undefined : [exactly(p)]; });
    case '--ctorigsrc': return spans('ct.original.saddr', address);
    case '--ctorigdst': return spans('ct.original.daddr', address);
    case '--ctreplsrc': return spans('ct.reply.saddr', address);
    case '--ctrepldst': return spans('ct.reply.daddr', address);
    case '--ctorigsrcport': return spans('ct.original.sport', ports);
    case '--ctorigdstport': return spans('ct.original.dport', ports);
    case '--ctreplsrcport': return spans('ct.reply.sport', ports);
    case '--ctrepldstport': return spans('ct.reply.dport', ports);
    case '--mark': return marked(x.module === 'connmark' ? 'ct.mark' : 'mark');
    case '--length': return spans('ip.length', (t) => ports(t.replace('-', ':')));
    case '--ttl-eq': return spans('ip.ttl', numbers);
    case '--hl-eq': return spans('ip6.hoplimit', numbers);
    case '--ttl-lt': case '--hl-lt': { const n = Number(nextArgument(c)); return lookup(x.family === 4 ? 'ip.ttl' : 'ip6.hoplimit', [{ low: 0, high: n - 1 }], o.negate, said()); }
    case '--ttl-gt': case '--hl-gt': { const n = Number(nextArgument(c)); return lookup(x.family === 4 ? 'ip.ttl' : 'ip6.hoplimit', [{ low: n + 1, high: 255 }], o.negate, said()); }
    case '--tos': { const m = markAndMask(nextArgument(c)); return m === undefined || x.family === 6 ? opaque('tos') : lookup('ip.tos', [exactly(m.value)], o.negate, said(), m.mask & 0xff); }
    case '--dscp': return spans(`${ip}.dscp`, number);
    case '--pkt-type': return spans('pkttype', (t) => { const p = PKTTYPES.get(t); return p === undefined ? undefined : [exactly(p)]; });
    case '--src-type': case '--dst-type': return spans(o.name === '--src-type' ? 'addrtype.source' : 'addrtype.destination', (t) => t.split(',').map((w) => exactly(w)));
    case '--src-range': return spans(`${ip}.saddr`, address);
    case '--dst-range': return spans(`${ip}.daddr`, address);
    case '--mac-source': return spans('ether.saddr', (t) => { const m = macBits(t); return m === undefined ? undefined : [exactly(m)]; });
    case '--physdev-in': return spans('physin', name);
    case '--physdev-out': return spans('physout', name);
    case '--physdev-is-bridged': return { kind: 'any', of: [{ kind: 'lookup', keys: [{ key: 'physin' }, { key: 'physout' }], set: [{ parts: [exactly(''), exactly('*')], text: '' }, { parts: [exactly('*'), exactly('')], text: '' }], negate: true, text: said() }], negate: o.negate, text: said() };
    case '--physdev-is-in': return lookup('physin', [exactly('')], !o.negate, said());
    case '--physdev-is-out': return lookup('physout', [exactly('')], !o.negate, said());
    case '--uid-owner': return spans('skuid', (t) => numbers(t) ?? (t === 'root' ? [exactly(0)] : undefined));
    case '--gid-owner': return spans('skgid', (t) => numbers(t) ?? (t === 'root' ? [exactly(0)] : undefined));
    case '--path': return x.module === 'cgroup' ? spans('cgroup2', (t) => [exactly(t)]) : opaque(x.module);
    case '--cpu': return spans('cpu', number);
    case '--match-set': {
      const set = nextArgument(c);
      const directions = nextArgument(c).split(',').map((d) => (d === 'src' ? 'src' : 'dst'));
      return { kind: 'ipset', set, directions, negate: o.negate, text: said() };
    }
    case '--return-nomatch': case '! --update-counters': case '! --update-subcounters': return undefined;
    default: {
      // Options of one stateful match are one match; the caller joins them.
      const what = STATEFUL[x.module];
      restOfOption(c);
      return what === undefined ? { kind: 'opaque', what: x.module === '' ? o.name : x.module, text: said() } : { kind: 'stateful', what, text: said() };
    }
  }
}
