import type { Action, BaseChain, Chain, Counter, Effect, Element, HookName, Match, NamedSet, Rule, RuleFamily, Table } from '../model/ruleset.ts';
import { elementOf, isObject, matchOf, operandsOf, setKeys, type Json, type JsonObject } from './nft-expression.ts';
import { expressionText, ruleText, statementText } from './nft-text.ts';

export interface NftListing {
  readonly tables: readonly Table[];
  /** Why it ends before the end: the text is not JSON, or not the JSON of nft. */
  readonly status: 'ok' | 'not-json' | 'not-nft';
}

const FAMILIES: ReadonlySet<string> = new Set(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']);
const HOOKS: ReadonlySet<string> = new Set(['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting', 'egress']);

interface Open {
  readonly table: Table;
  readonly chains: Map<string, { chain: Omit<Chain, 'rules'>; rules: Rule[] }>;
  readonly sets: Map<string, NamedSet>;
  /** The verdicts of its maps, also of those whose keys are no field of a packet (numgen, jhash). */
  readonly verdicts: Map<string, Action[]>;
  readonly counters: Map<string, Counter>;
}

/** The answer of `nft -j list ruleset` (libnftables-json(5), schema version 1). */
export function decodeNftJson(text: string): NftListing {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    // the status tells
    return { tables: [], status: text.trim() === '' ? 'ok' : 'not-json' };
  }
  const list = isObject(json) ? json['nftables'] : undefined;
  if (!Array.isArray(list)) return { tables: [], status: 'not-nft' };
  const tables = new Map<string, Open>();
  const open = (o: JsonObject): Open | undefined => tables.get(`${String(o['family'])} ${String(o['table'] ?? o['name'])}`);
  for (const item of list as readonly Json[]) {
    if (!isObject(item)) continue;
    const [kind, o] = Object.entries(item)[0] ?? [];
    if (!isObject(o)) continue;
    if (kind === 'table') addTable(tables, o);
    else if (kind === 'counter') open(o)?.counters.set(String(o['name']), counterOf(o));
    else if (kind === 'chain') addChain(open(o), o);
    else if (kind === 'set' || kind === 'map') addSet(open(o), o, kind === 'map');
    else if (kind === 'rule') addRule(open(o), o);
  }
  return {
    status: 'ok',
    tables: [...tables.values()].map((t) => ({ ...t.table, sets: t.sets, chains: new Map([...t.chains].map(([name, c]) => [name, { ...c.chain, rules: c.rules }])) })),
  };
}

const counterOf = (o: JsonObject): Counter => ({ packets: Number(o['packets'] ?? 0), bytes: Number(o['bytes'] ?? 0) });
const handleOf = (o: JsonObject): { handle?: number } => (typeof o['handle'] === 'number' ? { handle: o['handle'] } : {});

function addTable(tables: Map<string, Open>, o: JsonObject): void {
  const family = String(o['family']);
  if (!FAMILIES.has(family) || typeof o['name'] !== 'string') return;
  const table: Table = { engine: 'nft', tool: 'nft', family: family as RuleFamily, name: o['name'], ...handleOf(o), chains: new Map(), sets: new Map() };
  tables.set(`${family} ${o['name']}`, { table, chains: new Map(), sets: new Map(), verdicts: new Map(), counters: new Map() });
}

function addChain(open: Open | undefined, o: JsonObject): void {
  const name = o['name'];
  if (open === undefined || typeof name !== 'string') return;
  let base: BaseChain | undefined;
  if (typeof o['hook'] === 'string' && HOOKS.has(o['hook'])) {
    const devices = Array.isArray(o['dev']) ? (o['dev'] as readonly Json[]).map(String) : typeof o['dev'] === 'string' ? [o['dev']] : undefined;
    base = {
      type: String(o['type'] ?? 'filter'), hook: o['hook'] as HookName, priority: Number(o['prio'] ?? 0),
      policy: o['policy'] === 'drop' ? 'drop' : 'accept', ...(devices === undefined ? {} : { devices }),
    };
  }
  open.chains.set(name, { chain: { name, ...handleOf(o), ...(base === undefined ? {} : { base }) }, rules: [] });
}

function addSet(open: Open | undefined, o: JsonObject, map: boolean): void {
  const name = o['name'];
  if (open === undefined || typeof name !== 'string') return;
  const keys = setKeys(o['type']);
  const elements: Element[] = [];
  const verdicts: Action[] = [];
  if (map) open.verdicts.set(name, verdicts);
  for (const item of Array.isArray(o['elem']) ? (o['elem'] as readonly Json[]) : []) {
    const pair = map && Array.isArray(item) ? (item as readonly Json[]) : undefined;
    const action = pair === undefined ? undefined : verdictOf(pair[1]);
    if (action !== undefined) verdicts.push(action);
    const element = elementOf(keys, pair === undefined ? item : (pair[0] ?? null));
    if (element === undefined) continue;
    elements.push(action === undefined ? element : { ...element, action });
  }
  const flags = Array.isArray(o['flags']) ? (o['flags'] as readonly Json[]) : [];
  open.sets.set(name, { name, ...handleOf(o), elements, map, dynamic: flags.includes('dynamic') || flags.includes('timeout') });
}

function verdictOf(json: Json | undefined): Action | undefined {
  if (!isObject(json)) return undefined;
  const [name, value] = Object.entries(json)[0] ?? [];
  switch (name) {
    case 'accept': case 'drop': case 'return': case 'continue': return { do: name };
    case 'jump': case 'goto': return { do: name, chain: isObject(value) ? String(value['target']) : '' };
    default: return undefined;
  }
}

function addRule(open: Open | undefined, o: JsonObject): void {
  const chain = open?.chains.get(String(o['chain']));
  if (open === undefined || chain === undefined) return;
  const expr = Array.isArray(o['expr']) ? (o['expr'] as readonly Json[]) : [];
  const comment = typeof o['comment'] === 'string' ? o['comment'] : undefined;
  const matches: Match[] = [];
  const effects: Effect[] = [];
  let action: Action = { do: 'continue' };
  let counter: Counter | undefined;
  for (const statement of expr) {
    if (!isObject(statement)) continue;
    const [name, value] = Object.entries(statement)[0] ?? [];
    if (name === undefined) continue;
    const v = isObject(value) ? value : {};
    const text = statementText(statement);
    switch (name) {
      case 'match': matches.push(matchOf(v)); break;
      case 'counter': counter = typeof value === 'string' ? open.counters.get(value) : counterOf(v); break;
      case 'accept': case 'drop': case 'return': case 'continue': case 'jump': case 'goto': action = verdictOf(statement) ?? action; break;
      case 'vmap': {
        const keys = operandsOf(v['key']);
        const set = mapOf(keys?.map((k) => k.key) ?? [], v['data']);
        if (keys === undefined || set === undefined) {
          // by chance, a hash…: it may be any of its verdicts, the worst of them matters
          matches.push({ kind: 'opaque', what: 'verdict map', text });
          action = worstOf(v['data'], open.verdicts) ?? action;
        } else action = { do: 'map', keys, set };
        break;
      }
      case 'reject': action = { do: 'reject', answer: v['type'] === undefined ? 'icmp port-unreachable' : v['type'] === 'tcp reset' ? 'tcp reset' : `${String(v['type'])} ${String(v['expr'])}` }; break;
      case 'queue': action = queueOf(v); break;
      case 'limit': case 'quota': case 'ct count': matches.push({ kind: 'stateful', what: name === 'ct count' ? 'connection count' : name, text }); break;
      case 'set': case 'map':
        if (Array.isArray(v['stmt']) && (v['stmt'] as readonly Json[]).some((s) => isObject(s) && (s['limit'] !== undefined || s['quota'] !== undefined || s['ct count'] !== undefined))) matches.push({ kind: 'stateful', what: 'per-element limit', text });
        break;
      case 'mangle': effects.push({ kind: mangleKind(v['key']), text }); break;
      case 'dnat': case 'snat': case 'masquerade': case 'redirect':
        effects.push({ kind: 'nat', text });
        action = { do: 'accept' };
        break;
      case 'notrack': effects.push({ kind: 'notrack', text }); break;
      case 'fwd': case 'synproxy': action = { do: 'steal', text }; break;
      case 'tproxy': case 'dup': case 'flow': effects.push({ kind: 'other', text }); break;
      case 'xt': {
        const xt = xtOf(v, text);
        if (xt.match !== undefined) matches.push(xt.match);
        if (xt.action !== undefined) action = xt.action;
        break;
      }
      case 'log': case 'last': break;
      default: matches.push({ kind: 'opaque', what: name, text }); break;
    }
  }
  chain.rules.push({
    table: open.table.name, chain: String(o['chain']), position: chain.rules.length + 1, ...handleOf(o), text: ruleText(expr, comment),
    ...(comment === undefined ? {} : { comment }), ...(counter === undefined ? {} : { counter }), matches, action, effects,
  });
}

function mapOf(keys: readonly Parameters<typeof elementOf>[0][number][], data: Json | undefined): string | readonly Element[] | undefined {
  if (typeof data === 'string') return data.replace(/^@/, '');
  const set = isObject(data) ? data['set'] : undefined;
  if (!Array.isArray(set)) return undefined;
  const elements: Element[] = [];
  for (const pair of set as readonly Json[]) {
    if (!Array.isArray(pair)) return undefined;
    const element = elementOf(keys, (pair as readonly Json[])[0] ?? null);
    const action = verdictOf((pair as readonly Json[])[1]);
    if (element === undefined || action === undefined) return undefined;
    elements.push({ ...element, action });
  }
  return elements;
}

function worstOf(data: Json | undefined, named: Open['verdicts']): Action | undefined {
  const set = isObject(data) ? data['set'] : undefined;
  const actions = typeof data === 'string' ? (named.get(data.replace(/^@/, '')) ?? []) : Array.isArray(set) ? (set as readonly Json[]).map((pair) => (Array.isArray(pair) ? verdictOf((pair as readonly Json[])[1]) : undefined)) : [];
  return actions.find((a) => a?.do === 'drop') ?? actions.find((a) => a?.do === 'jump' || a?.do === 'goto');
}

function queueOf(v: JsonObject): Action {
  const num = v['num'];
  const range = isObject(num) && Array.isArray(num['range']) ? (num['range'] as readonly Json[]) : undefined;
  const first = range === undefined ? (typeof num === 'number' ? num : 0) : Number(range[0]);
  const flags = Array.isArray(v['flags']) ? (v['flags'] as readonly Json[]) : [v['flags'] ?? null];
  return { do: 'queue', first, last: range === undefined ? first : Number(range[1]), bypass: flags.includes('bypass') };
}

function mangleKind(key: Json | undefined): Effect['kind'] {
  const text = expressionText(key);
  if (text === 'mark') return 'mark';
  if (text === 'ct mark') return 'ct-mark';
  if (/^(ip ttl|ip6 hoplimit)$/.test(text)) return 'ttl';
  if (/dscp|ecn/.test(text)) return 'dscp';
  if (text.startsWith('tcp option maxseg')) return 'mss';
  if (text.startsWith('ether ')) return 'mac';
  return isObject(key) && key['payload'] !== undefined ? 'payload' : 'other';
}

/** iptables-nft keeps its matches and targets as x_tables extensions; nft names them without their arguments. */
function xtOf(v: JsonObject, text: string): { match?: Match; action?: Action } {
  const name = String(v['name']);
  if (v['type'] === 'match') return name === 'comment' ? {} : { match: { kind: 'opaque', what: `xt ${name}`, text } };
  if (name === 'REJECT') return { action: { do: 'reject', answer: 'icmp port-unreachable' } };
  if (name === 'NFQUEUE') return { action: { do: 'queue', first: 0, last: 65535, bypass: false } };
  return {};
}
