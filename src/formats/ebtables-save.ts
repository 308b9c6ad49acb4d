import type { Action, BaseChain, Chain, Effect, HookName, Key, Match, Rule, Span, Table } from '../model/ruleset.ts';
import { addressSpan, exactly, macBits, markAndMask } from './address-bits.ts';
import { interfacePattern, lookup, protocolNumber } from './iptables-matches.ts';
import { listing, type SaveListing } from './iptables-save.ts';
import { ARP_OPERATIONS, ETHERTYPES, ICMP6_TYPES, ICMP_TYPES, PKTTYPES } from './protocol-names.ts';
import { nextArgument, parseSave, restOfOption, type Cursor, type RuleDraft } from './save-text.ts';

const HOOKS: Readonly<Record<string, HookName>> = { PREROUTING: 'prerouting', INPUT: 'input', FORWARD: 'forward', OUTPUT: 'output', POSTROUTING: 'postrouting', BROUTING: 'brouting' };

/** enum nf_br_hook_priorities, netfilter_bridge.h. */
function priorityOf(table: string, hook: HookName): number {
  if (table === 'nat') return hook === 'prerouting' ? -300 : hook === 'output' ? 100 : 300;
  return table === 'broute' ? -1000 : -200;
}

/** The answer of `ebtables-save -c` (ebtables(8)), nft or legacy backend. */
export function decodeEbtablesSave(text: string, tool = 'ebtables'): SaveListing {
  const save = parseSave(text);
  const tables = save.tables.map((t): Table => {
    const chains = new Map<string, Chain>();
    for (const [name, c] of t.chains) {
      const hook = HOOKS[name];
      const base: BaseChain | undefined = hook === undefined ? undefined : { type: 'filter', hook, priority: priorityOf(t.name, hook), policy: c.policy === 'DROP' ? 'drop' : 'accept' };
      const rules = c.rules.map((r, i): Rule => ({ table: t.name, chain: name, position: i + 1, text: r.text, ...(r.counter === undefined ? {} : { counter: r.counter }), ...draft(r.words, new Set(t.chains.keys())) }));
      // a chain of the user's own has a policy too: what happens at its end
      if (base === undefined && c.policy !== 'RETURN') rules.push({ table: t.name, chain: name, position: rules.length + 1, text: `(policy of ${name}) -j ${c.policy}`, matches: [], effects: [], action: c.policy === 'DROP' ? { do: 'drop' } : { do: 'accept' } });
      chains.set(name, { name, ...(base === undefined ? {} : { base }), rules });
    }
    return { engine: t.backend ?? 'legacy', tool: t.backend === 'legacy' ? `${tool}-legacy` : tool, family: 'bridge', name: t.name, chains, sets: new Map() };
  });
  return listing(save, tables);
}

const MAC_NAMES: Readonly<Record<string, readonly [string, string]>> = {
  unicast: ['00:00:00:00:00:00', '01:00:00:00:00:00'], multicast: ['01:00:00:00:00:00', '01:00:00:00:00:00'], broadcast: ['ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff'], bga: ['01:80:c2:00:00:00', 'ff:ff:ff:ff:ff:ff'],
};

/** A MAC address with its mask, as it is or by ebtables' names. Masks are applied by BigInt: they have 48 bits. */
function macMatch(key: Key, word: string, negate: boolean, text: string): Match {
  const [address, mask] = MAC_NAMES[word.toLowerCase()] ?? word.split('/');
  const value = macBits(address ?? '');
  const bits = mask === undefined ? undefined : macBits(mask);
  if (value === undefined || (mask !== undefined && bits === undefined)) return { kind: 'opaque', what: 'mac', text };
  return { kind: 'lookup', keys: [bits === undefined ? { key } : { key, mask: BigInt(bits) }], set: [{ parts: [exactly(value)], text: word }], negate, text };
}

function draft(words: readonly string[], chains: ReadonlySet<string>): RuleDraft {
  const c: Cursor = { words, at: 0 };
  const matches: Match[] = [];
  const effects: Effect[] = [];
  let action: Action = { do: 'continue' };
  let protocol = '';
  let before = false;
  for (let word = words[c.at]; word !== undefined; word = words[c.at]) {
    const start = c.at++;
    if (word === '!') {
      before = true;
      continue;
    }
    // ebtables negates behind the option: `-p ! IPv4`
    const negated = words[c.at] === '!';
    if (negated) c.at++;
    const negate = negated || before;
    before = false;
    const said = (): string => words.slice(start, c.at).join(' ');
    const spans = (key: Key, read: (text: string) => Span | undefined): void => {
      const span = read(nextArgument(c));
      matches.push(span === undefined ? { kind: 'opaque', what: word, text: said() } : lookup(key, [span], negate, said()));
    };
    const numeric = (table?: ReadonlyMap<string, number>) => (text: string): Span | undefined => {
      const known = table?.get(text.toLowerCase());
      if (known !== undefined) return exactly(known);
      const m = /^(0x[0-9a-fA-F]+|\d+)(?::(0x[0-9a-fA-F]+|\d+))?$/.exec(text);
      return m === null ? undefined : { low: Number(m[1]), high: Number(m[2] ?? m[1]) };
    };
    const ports = numeric();
    switch (word) {
      case '-j': {
        const target = nextArgument(c);
        action = chains.has(target) ? { do: 'jump', chain: target } : targetOf(target, words.slice(c.at), effects);
        c.at = words.length;
        break;
      }
      case '-p': {
        protocol = nextArgument(c).toLowerCase();
        const type = ETHERTYPES.get(protocol) ?? (/^0x[0-9a-f]+$/.test(protocol) ? Number(protocol) : undefined);
        matches.push(type === undefined || type === 0 ? { kind: 'opaque', what: 'protocol', text: said() } : lookup('ether.type', [exactly(type)], negate, said()));
        break;
      }
      case '-s': matches.push(macMatch('ether.saddr', nextArgument(c), negate, said())); break;
      case '-d': matches.push(macMatch('ether.daddr', nextArgument(c), negate, said())); break;
      case '-i': spans('iifname', (t) => exactly(interfacePattern(t))); break;
      case '-o': spans('oifname', (t) => exactly(interfacePattern(t))); break;
      case '--logical-in': spans('ibrname', (t) => exactly(interfacePattern(t))); break;
      case '--logical-out': spans('obrname', (t) => exactly(interfacePattern(t))); break;
      case '--ip-src': case '--ip-source': spans('ip.saddr', addressSpan); break;
      case '--ip-dst': case '--ip-destination': spans('ip.daddr', addressSpan); break;
      case '--ip6-src': case '--ip6-source': spans('ip6.saddr', addressSpan); break;
      case '--ip6-dst': case '--ip6-destination': spans('ip6.daddr', addressSpan); break;
      case '--ip-proto': case '--ip-protocol': case '--ip6-proto': case '--ip6-protocol': spans('l4proto', (t) => { const p = protocolNumber(t); return p === undefined ? undefined : exactly(p); }); break;
      case '--ip-sport': case '--ip-source-port': case '--ip6-sport': case '--ip6-source-port': spans('th.sport', ports); break;
      case '--ip-dport': case '--ip-destination-port': case '--ip6-dport': case '--ip6-destination-port': spans('th.dport', ports); break;
      case '--ip-tos': spans('ip.tos', (t) => numeric()(t.startsWith('0x') ? t : `0x${t}`)); break;
      case '--ip-icmp-type': spans('icmp.type', (t) => numeric(ICMP_TYPES)(t.split('/')[0] ?? '')); break;
      case '--ip6-icmp-type': spans('icmpv6.type', (t) => numeric(ICMP6_TYPES)(t.split('/')[0] ?? '')); break;
      case '--arp-ip-src': spans('arp.saddr', addressSpan); break;
      case '--arp-ip-dst': spans('arp.daddr', addressSpan); break;
      case '--arp-mac-src': matches.push(macMatch('arp.smac', nextArgument(c), negate, said())); break;
      case '--arp-mac-dst': matches.push(macMatch('arp.dmac', nextArgument(c), negate, said())); break;
      case '--arp-op': case '--arp-opcode': spans('arp.operation', numeric(ARP_OPERATIONS)); break;
      case '--arp-htype': spans('arp.htype', numeric(new Map([['ethernet', 1]]))); break;
      case '--arp-ptype': spans('arp.ptype', numeric(ETHERTYPES)); break;
      case '--vlan-id': spans('vlan.id', ports); break;
      case '--mark': {
        const mark = markAndMask(nextArgument(c));
        matches.push(mark === undefined ? { kind: 'opaque', what: 'mark', text: said() } : lookup('mark', [exactly(mark.value)], negate, said(), mark.mask));
        break;
      }
      case '--pkttype-type': spans('pkttype', numeric(PKTTYPES)); break;
      case '--log': case '--log-level': case '--log-prefix': case '--log-ip': case '--log-arp': case '--log-ip6': case '--nflog': case '--nflog-group': case '--nflog-prefix': case '--nflog-range': case '--nflog-threshold': case '--ulog':
        restOfOption(c);
        break;
      case '--limit': case '--limit-burst': {
        restOfOption(c);
        if (word === '--limit') matches.push({ kind: 'stateful', what: 'limit', text: said() });
        break;
      }
      default:
        restOfOption(c);
        matches.push({ kind: 'opaque', what: word.replace(/^-+/, ''), text: said() });
    }
  }
  return { matches, action, effects };
}

function targetOf(target: string, args: readonly string[], effects: Effect[]): Action {
  const text = `-j ${[target, ...args].join(' ')}`;
  const after = (option: string, otherwise: string): Action => {
    const verdict = args[args.indexOf(option) + 1];
    const is = args.includes(option) ? verdict : otherwise;
    return is === 'DROP' ? { do: 'drop' } : is === 'ACCEPT' ? { do: 'accept' } : is === 'RETURN' ? { do: 'return' } : { do: 'continue' };
  };
  switch (target) {
    case 'ACCEPT': return { do: 'accept' };
    case 'DROP': return { do: 'drop' };
    case 'RETURN': return { do: 'return' };
    case 'CONTINUE': return { do: 'continue' };
    case 'dnat': effects.push({ kind: 'mac', text }); return after('--dnat-target', 'ACCEPT');
    case 'snat': effects.push({ kind: 'mac', text }); return after('--snat-target', 'ACCEPT');
    case 'redirect': effects.push({ kind: 'mac', text }); return after('--redirect-target', 'ACCEPT');
    case 'mark': effects.push({ kind: 'mark', text }); return after('--mark-target', 'ACCEPT');
    case 'arpreply': return after('--arpreply-target', 'DROP');
    default: effects.push({ kind: 'other', text }); return { do: 'continue' };
  }
}
