import type { Netns } from '../../base/brand.ts';
import { decodeArptablesSave } from '../../formats/arptables-save.ts';
import { decodeEbtablesSave } from '../../formats/ebtables-save.ts';
import { decodeIpsetSave } from '../../formats/ipset-save.ts';
import { decodeIptablesSave, type SaveListing } from '../../formats/iptables-save.ts';
import { decodeNftJson } from '../../formats/nft-json.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Topic } from '../../model/question.ts';
import type { Chain, Rule, RuleFamily, Ruleset, Table } from '../../model/ruleset.ts';
import { isUnavailable, type Maybe, type Unavailable } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';

/** The rules of a namespace from all tools that could be asked, and what could not. */
export interface Listing {
  readonly ruleset: Ruleset;
  readonly missing: readonly Unavailable[];
}

type Family = 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev';
type Age = 'fresh' | 'before';

const TOPICS: Readonly<Record<Family, readonly Topic[]>> = {
  ip: ['nft', 'iptables', 'iptables-legacy'], ip6: ['nft', 'ip6tables', 'ip6tables-legacy'], arp: ['nft', 'arptables'], bridge: ['nft', 'ebtables'], netdev: ['nft'],
};

/**
 * The rules now: not older than the symptom under judgement. `families` limits which tools are asked; `legacy` false
 * leaves out the x_tables backend where it cannot have been.
 */
export function ruleset(evidence: Evidence, netns: Netns, families: readonly Family[] = ['ip', 'ip6', 'arp', 'bridge', 'netdev'], legacy = true): Maybe<Listing> {
  return listingOf(evidence, netns, families, legacy, 'fresh');
}

/** The rules as they were before the symptom began: for counters that moved. */
export function rulesetBefore(evidence: Evidence, netns: Netns, families: readonly Family[] = ['ip', 'ip6', 'arp', 'bridge', 'netdev'], legacy = true): Maybe<Listing> {
  return listingOf(evidence, netns, families, legacy, 'before');
}

function listingOf(evidence: Evidence, netns: Netns, families: readonly Family[], legacy: boolean, age: Age): Maybe<Listing> {
  const topics = [...new Set(families.flatMap((f) => TOPICS[f]))].filter((t) => legacy || !t.endsWith('-legacy'));
  const bodies = new Map<Topic, string>();
  const missing: Unavailable[] = [];
  const times: string[] = [];
  // all are asked before any is waited for
  for (const topic of topics) {
    const answer = age === 'fresh' ? evidence.answer(ask(topic, netns)) : evidence.before(ask(topic, netns));
    if (isUnavailable(answer)) {
      missing.push(answer);
      times.push('-');
    } else {
      bodies.set(topic, textOf(answer.body));
      times.push(String(answer.time));
    }
  }
  const pending = missing.find((m) => m.unavailable === 'pending');
  if (pending !== undefined) return pending;
  if (bodies.size === 0) return missing.find((m) => m.unavailable !== 'missing-program') ?? missing[0] ?? { unavailable: 'missing', what: 'listing the rules', why: 'no tool for it' };
  const sets = usesIpsets(bodies) ? (age === 'fresh' ? evidence.answer(ask('ipset', netns)) : evidence.before(ask('ipset', netns))) : undefined;
  if (isUnavailable(sets) && sets.unavailable === 'pending') return sets;
  if (isUnavailable(sets)) missing.push(sets);
  const key = `rules\u0000${netns}\u0000${age}\u0000${topics.join()}\u0000${times.join()}\u0000${sets === undefined || isUnavailable(sets) ? '-' : sets.time}`;
  const known = evidence.memo.get(key);
  if (known !== undefined) return known as Maybe<Listing>;
  const value = merge(bodies, sets === undefined || isUnavailable(sets) ? undefined : textOf(sets.body), missing);
  evidence.memo.set(key, value, [...bodies.values()].reduce((sum, body) => sum + body.length, 0));
  return value;
}

const textOf = (body: string | Uint8Array): string => (typeof body === 'string' ? body : new TextDecoder().decode(body));

function usesIpsets(bodies: ReadonlyMap<Topic, string>): boolean {
  for (const [topic, body] of bodies) if (topic !== 'nft' && body.includes('--match-set')) return true;
  return false;
}

function merge(bodies: ReadonlyMap<Topic, string>, ipsets: string | undefined, missing: Unavailable[]): Listing {
  const nft = bodies.get('nft');
  const listing = nft === undefined ? undefined : decodeNftJson(nft);
  if (listing !== undefined && listing.status !== 'ok') missing.push({ unavailable: 'malformed', what: 'decoding the answer of nft -j list ruleset', why: listing.status });
  const saves: { family: RuleFamily; save: SaveListing }[] = [];
  const add = (topic: Topic, family: RuleFamily, decode: (text: string) => SaveListing): SaveListing | undefined => {
    const body = bodies.get(topic);
    if (body === undefined) return undefined;
    const save = decode(body);
    saves.push({ family, save });
    return save;
  };
  // where both backends are in use, the plain name could be either
  const tool = (name: string): string => (bodies.get(`${name}-legacy` as Topic)?.includes('-A ') === true ? `${name}-nft` : name);
  const four = add('iptables', 'ip', (t) => decodeIptablesSave(t, 4, tool('iptables')));
  if (four?.backend !== 'legacy') add('iptables-legacy', 'ip', (t) => decodeIptablesSave(t, 4, 'iptables-legacy'));
  const six = add('ip6tables', 'ip6', (t) => decodeIptablesSave(t, 6, tool('ip6tables')));
  if (six?.backend !== 'legacy') add('ip6tables-legacy', 'ip6', (t) => decodeIptablesSave(t, 6, 'ip6tables-legacy'));
  add('ebtables', 'bridge', decodeEbtablesSave);
  add('arptables', 'arp', decodeArptablesSave);
  const tables: Table[] = [];
  const nftTables = new Map((listing?.tables ?? []).map((t) => [`${t.family} ${t.name}`, t]));
  for (const { family, save } of saves) {
    for (const table of save.tables) {
      if (table.engine === 'legacy') tables.push(table);
      else {
        const twin = nftTables.get(`${family} ${table.name}`);
        // nft wrote into a table that bears one of iptables' names: iptables shows it as empty
        if (twin !== undefined && save.incompatible.includes(table.name)) continue;
        // a table that is not in nf_tables yet: iptables prints its empty built-in chains all the same
        if (twin === undefined && listing !== undefined) continue;
        tables.push(twin === undefined ? table : withHandles(table, twin));
        nftTables.delete(`${family} ${table.name}`);
      }
    }
  }
  tables.push(...nftTables.values());
  return { ruleset: { tables, ipsets: ipsets === undefined ? new Map() : decodeIpsetSave(ipsets).sets }, missing };
}

/** iptables-nft: the meaning from iptables-save, handles, hooks and named sets from nft. */
function withHandles(table: Table, twin: Table): Table {
  const chains = new Map<string, Chain>();
  for (const [name, chain] of table.chains) {
    const other = twin.chains.get(name);
    if (other === undefined) {
      if (chain.base === undefined) chains.set(name, chain);
      continue;
    }
    const paired = other.rules.length === chain.rules.length;
    const rules = chain.rules.map((r, i): Rule => {
      const o = paired ? other.rules[i] : undefined;
      const counter = r.counter ?? o?.counter;
      return { ...r, ...(o?.handle === undefined ? {} : { handle: o.handle }), ...(counter === undefined ? {} : { counter }) };
    });
    const base = other.base ?? chain.base;
    chains.set(name, { name, ...(other.handle === undefined ? {} : { handle: other.handle }), ...(base === undefined ? {} : { base }), rules });
  }
  return { ...table, ...(twin.handle === undefined ? {} : { handle: twin.handle }), chains, sets: twin.sets };
}
