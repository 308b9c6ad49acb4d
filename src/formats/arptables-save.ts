import type { Action, BaseChain, Chain, Effect, HookName, Key, Match, Rule, Span, Table } from '../model/ruleset.ts';
import { addressSpan, exactly, macBits } from './address-bits.ts';
import { interfacePattern, lookup } from './iptables-matches.ts';
import { listing, type SaveListing } from './iptables-save.ts';
import { ARP_OPERATIONS, ETHERTYPES } from './protocol-names.ts';
import { nextArgument, nextOption, parseSave, restOfOption, type Cursor, type RuleDraft } from './save-text.ts';

const HOOKS: Readonly<Record<string, HookName>> = { INPUT: 'input', OUTPUT: 'output', FORWARD: 'forward' };

/** The answer of `arptables-save -c` (arptables(8)). It prints the target first: `-j DROP -s 10.0.0.1`. */
export function decodeArptablesSave(text: string, tool = 'arptables'): SaveListing {
  const save = parseSave(text);
  const tables = save.tables.map((t): Table => {
    const chains = new Map<string, Chain>();
    for (const [name, c] of t.chains) {
      const hook = HOOKS[name];
      const base: BaseChain | undefined = hook === undefined || c.policy === '-' ? undefined : { type: 'filter', hook, priority: 0, policy: c.policy === 'DROP' ? 'drop' : 'accept' };
      const rules = c.rules.map((r, i): Rule => ({ table: t.name, chain: name, position: i + 1, text: r.text, ...(r.counter === undefined ? {} : { counter: r.counter }), ...draft(r.words, new Set(t.chains.keys())) }));
      chains.set(name, { name, ...(base === undefined ? {} : { base }), rules });
    }
    return { engine: save.backend ?? 'legacy', tool, family: 'arp', name: t.name, chains, sets: new Map() };
  });
  return listing(save, tables);
}

function draft(words: readonly string[], chains: ReadonlySet<string>): RuleDraft {
  const c: Cursor = { words, at: 0 };
  const matches: Match[] = [];
  const effects: Effect[] = [];
  let action: Action = { do: 'continue' };
  for (let o = nextOption(c); o !== undefined; o = nextOption(c)) {
    const { name, negate } = o;
    const start = c.at;
    const said = (): string => `${negate ? '! ' : ''}${name} ${words.slice(start, c.at).join(' ')}`;
    const spans = (key: Key, read: (text: string) => Span | undefined): void => {
      const span = read(nextArgument(c));
      matches.push(span === undefined ? { kind: 'opaque', what: name, text: said() } : lookup(key, [span], negate, said()));
    };
    const numeric = (table?: ReadonlyMap<string, number>) => (text: string): Span | undefined => {
      const known = table?.get(text.toLowerCase());
      return known !== undefined ? exactly(known) : /^(0x[0-9a-fA-F]+|\d+)$/.test(text) ? exactly(Number(text)) : undefined;
    };
    const mac = (key: Key) => (): void => {
      const word = nextArgument(c);
      const [address = '', mask] = word.split('/');
      const value = macBits(address);
      const bits = mask === undefined ? undefined : macBits(mask);
      if (value === undefined || (mask !== undefined && bits === undefined)) matches.push({ kind: 'opaque', what: name, text: said() });
      else matches.push({ kind: 'lookup', keys: [bits === undefined ? { key } : { key, mask: BigInt(bits) }], set: [{ parts: [exactly(value)], text: word }], negate, text: said() });
    };
    switch (name) {
      case '-j': {
        const target = nextArgument(c);
        if (chains.has(target)) action = { do: 'jump', chain: target };
        else if (target === 'ACCEPT' || target === 'DROP' || target === 'RETURN') action = { do: target === 'ACCEPT' ? 'accept' : target === 'DROP' ? 'drop' : 'return' };
        else if (target === 'mangle') {
          effects.push({ kind: 'mac', text: `-j mangle` });
          const verdict = words[words.indexOf('--mangle-target') + 1];
          action = words.includes('--mangle-target') && verdict === 'DROP' ? { do: 'drop' } : words.includes('--mangle-target') && verdict === 'CONTINUE' ? { do: 'continue' } : { do: 'accept' };
        } else effects.push({ kind: 'other', text: `-j ${target}` });
        break;
      }
      case '-s': spans('arp.saddr', addressSpan); break;
      case '-d': spans('arp.daddr', addressSpan); break;
      case '-i': spans('iifname', (t) => exactly(interfacePattern(t))); break;
      case '-o': spans('oifname', (t) => exactly(interfacePattern(t))); break;
      case '--src-mac': case '--source-mac': mac('arp.smac')(); break;
      case '--dst-mac': case '--destination-mac': mac('arp.dmac')(); break;
      case '--opcode': spans('arp.operation', numeric(ARP_OPERATIONS)); break;
      case '--h-length': spans('arp.hlen', numeric()); break;
      case '--h-type': spans('arp.htype', numeric(new Map([['ethernet', 1]]))); break;
      case '--proto-type': spans('arp.ptype', numeric(ETHERTYPES)); break;
      case '--mangle-ip-s': case '--mangle-ip-d': case '--mangle-mac-s': case '--mangle-mac-d': case '--mangle-target': case '--set-class': nextArgument(c); break;
      default:
        restOfOption(c);
        matches.push({ kind: 'opaque', what: name.replace(/^-+/, ''), text: said() });
    }
  }
  return { matches, action, effects };
}
