import type { Action, BaseChain, Chain, Effect, HookName, Match, Rule, Table } from '../model/ruleset.ts';
import { matchOption, type MatchContext } from './iptables-matches.ts';
import { nextArgument, nextOption, parseSave, type Cursor, type RuleDraft, type SaveText } from './save-text.ts';

export interface SaveListing {
  readonly tables: readonly Table[];
  /** From the head line; undefined when there are no tables at all. */
  readonly backend?: 'nft' | 'legacy';
  readonly incompatible: readonly string[];
  readonly skipped: number;
}

const HOOKS: Readonly<Record<string, HookName>> = { PREROUTING: 'prerouting', INPUT: 'input', FORWARD: 'forward', OUTPUT: 'output', POSTROUTING: 'postrouting' };

/** enum nf_ip_hook_priorities, netfilter_ipv4.h (the same numbers for IPv6). */
function priorityOf(table: string, hook: HookName): number {
  switch (table) {
    case 'raw': return -300;
    case 'mangle': return -150;
    case 'nat': return hook === 'input' || hook === 'postrouting' ? 100 : -100;
    case 'security': return 50;
    default: return 0;
  }
}

/** The answer of `iptables-save -c`, `ip6tables-save -c` or their -legacy forms. `tool` is the command that manages them. */
export function decodeIptablesSave(text: string, family: 4 | 6, tool: string): SaveListing {
  const save = parseSave(text);
  const tables = save.tables.map((t): Table => {
    const chains = new Map<string, Chain>();
    for (const [name, c] of t.chains) {
      const hook = HOOKS[name];
      const base: BaseChain | undefined = c.policy === '-' || hook === undefined ? undefined : {
        type: t.name === 'nat' ? 'nat' : 'filter', hook, priority: priorityOf(t.name, hook), policy: c.policy === 'DROP' ? 'drop' : 'accept',
        ...(t.backend !== 'nft' && c.counter !== undefined ? { counter: c.counter } : {}),
      };
      const rules = c.rules.map((r, i): Rule => ({
        table: t.name, chain: name, position: i + 1, text: r.text, ...(r.counter === undefined ? {} : { counter: r.counter }), ...draft(r.words, family, new Set(t.chains.keys())),
      }));
      chains.set(name, { name, ...(base === undefined ? {} : { base }), rules });
    }
    return { engine: t.backend ?? 'legacy', tool, family: family === 4 ? 'ip' : 'ip6', name: t.name, chains, sets: new Map() };
  });
  return listing(save, tables);
}

export function listing(save: SaveText, tables: readonly Table[]): SaveListing {
  return { tables, ...(save.backend === undefined ? {} : { backend: save.backend }), incompatible: save.incompatible, skipped: save.skipped };
}

function draft(words: readonly string[], family: 4 | 6, chains: ReadonlySet<string>): RuleDraft {
  const c: Cursor = { words, at: 0 };
  const x: MatchContext = { family, module: '', protocol: undefined };
  const matches: Match[] = [];
  const effects: Effect[] = [];
  let action: Action = { do: 'continue' };
  let comment: string | undefined;
  for (let o = nextOption(c); o !== undefined; o = nextOption(c)) {
    if (o.name === '-j' || o.name === '-g') {
      const target = nextArgument(c);
      action = o.name === '-g' ? { do: 'goto', chain: target } : targetOf(target, words.slice(c.at), effects, chains);
      c.at = words.length;
    } else if (o.name === '-m') {
      x.module = nextArgument(c);
    } else if (o.name === '--comment') {
      comment = nextArgument(c);
    } else {
      const match = matchOption(o, c, x);
      const last = matches.at(-1);
      if (match === undefined) continue;
      if (match.kind === 'stateful' && last?.kind === 'stateful' && last.what === match.what) matches[matches.length - 1] = { ...match, text: `${last.text} ${match.text}` };
      else if (match.kind === 'opaque' && last?.kind === 'opaque' && last.what === match.what) matches[matches.length - 1] = { ...match, text: `${last.text} ${match.text}` };
      else matches.push(match);
    }
  }
  return { matches, action, effects, ...(comment === undefined ? {} : { comment }) };
}

/** Targets of iptables-extensions(8): what becomes of the packet, and what is changed on it. */
function targetOf(target: string, args: readonly string[], effects: Effect[], chains: ReadonlySet<string>): Action {
  const text = `-j ${[target, ...args].join(' ')}`;
  const value = (name: string): string | undefined => {
    const at = args.indexOf(name);
    return at < 0 ? undefined : args[at + 1];
  };
  const effect = (kind: Effect['kind'], action: Action = { do: 'continue' }): Action => {
    effects.push({ kind, text });
    return action;
  };
  if (chains.has(target)) return { do: 'jump', chain: target };
  switch (target) {
    case 'ACCEPT': return { do: 'accept' };
    case 'DROP': return { do: 'drop' };
    case 'RETURN': return { do: 'return' };
    case 'REJECT': return { do: 'reject', answer: value('--reject-with') ?? 'icmp-port-unreachable' };
    case 'QUEUE': return { do: 'queue', first: 0, last: 0, bypass: false };
    case 'NFQUEUE': {
      const [first = '0', last] = (value('--queue-balance') ?? value('--queue-num') ?? '0').split(':');
      return { do: 'queue', first: Number(first), last: Number(last ?? first), bypass: args.includes('--queue-bypass') };
    }
    case 'DNAT': case 'SNAT': case 'MASQUERADE': case 'REDIRECT': case 'NETMAP': case 'SAME': case 'BALANCE': return effect('nat', { do: 'accept' });
    case 'DNPT': case 'SNPT': return effect('nat');
    case 'MARK': return effect('mark');
    case 'CONNMARK': return effect(args.includes('--restore-mark') ? 'mark' : 'ct-mark');
    case 'TTL': case 'HL': return effect('ttl');
    case 'TOS': case 'DSCP': return effect('dscp');
    case 'TCPMSS': return effect('mss');
    case 'ECN': case 'TCPOPTSTRIP': case 'CHECKSUM': return effect('payload');
    case 'NOTRACK': return effect('notrack');
    case 'CT': return effect(args.includes('--notrack') ? 'notrack' : 'other');
    case 'TPROXY': return effect('other', { do: 'accept' });
    case 'SYNPROXY': return { do: 'steal', text };
    default: return effect('other');
  }
}

