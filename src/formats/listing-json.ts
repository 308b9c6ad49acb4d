import type { EvidenceRecord, ListingTopic, Reading } from './evidence-record.ts';
import { isLoopback, isWhole } from './ip-text.ts';
import { isObject, type Json } from './json-fields.ts';

/**
 * Listings of iproute2 as JSON (`ip -j link`, `address`, `route`, `rule`, `neigh`, `tc -j qdisc`, also with -p, -d, -s), told
 * apart by the keys of their objects: the live sources ask for the same.
 */
export function readListings(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (!/^\[ ?\{/.test(lines[i]!) || lines[i]!.length > LONGEST) continue;
    const found = listAt(lines, i);
    const topic = found === undefined ? undefined : topicOf(found.list);
    if (found === undefined || topic === undefined) continue;
    for (let k = i; k < found.to; k++) if (lines[k] !== '') taken.push(k);
    const part = partOf(topic, found.list);
    if (part !== undefined) records.push({ kind: 'aside', line: i + 1, ...part });
    else if (topic === 'route') records.push(...byFamily(found.list, i + 1));
    else records.push({ kind: 'listing', line: i + 1, topic, text: found.text });
    i = found.to - 1;
  }
  return { records, taken };
}

const LONGEST = 4 << 20;
/** Where `ip -p` spreads one list over lines: how far its end is looked for, and how often it is tried. */
const MOST_LINES = 20_000, MOST_TRIES = 8;

function listAt(lines: readonly string[], from: number): { readonly list: readonly Json[]; readonly text: string; readonly to: number } | undefined {
  let tries = 0, length = 0;
  for (let to = from; to < lines.length && to < from + MOST_LINES && tries < MOST_TRIES; to++) {
    length += lines[to]!.length;
    if (length > LONGEST) return undefined;
    if (to > from && /^\[ ?\{/.test(lines[to]!)) return undefined;
    if (!/\]$/.test(lines[to]!) || (to > from && /^\s{8,}/.test(lines[to]!))) continue;
    tries += 1;
    const text = lines.slice(from, to + 1).join('\n');
    try {
      const value: unknown = JSON.parse(text);
      return Array.isArray(value) ? { list: value.filter(isObject), text, to: to + 1 } : undefined;
    } catch {
      continue; // not whole yet: the end of a list within it
    }
  }
  return undefined;
}

function topicOf(list: readonly Json[]): ListingTopic | undefined {
  const one = list.find((o) => Object.keys(o).length > 0);
  if (one === undefined) return undefined;
  const has = (...keys: readonly string[]): boolean => keys.every((k) => k in one);
  if (has('ifindex', 'ifname', 'addr_info')) return 'address';
  if (has('ifindex', 'ifname', 'flags')) return 'link';
  if (has('priority', 'table') && !has('dev')) return list.some(isSix) ? 'rule6' : 'rule';
  if (has('kind', 'handle') && (has('root') || has('parent')) && has('options')) return 'qdisc';
  if (has('dst', 'dev', 'state') && Array.isArray(one['state'])) return 'neighbour';
  if (has('dst', 'flags') && Array.isArray(one['flags']) && (has('dev') || has('gateway') || has('nexthops') || has('type'))) return 'route';
  return undefined;
}

/** Of one table or one device: what is not in it may be there all the same. */
function partOf(topic: ListingTopic, list: readonly Json[]): { readonly format: string; readonly instead: string } | undefined {
  if (topic === 'route' && !list.some(isWhole)) return { format: 'ip -j route of some tables', instead: 'ip -j route show table all' };
  if ((topic === 'link' || topic === 'address') && !list.some(isLoopback)) return { format: `ip -j ${topic} of some devices`, instead: `ip -j ${topic}` };
  return undefined;
}

const isSix = (o: Json): boolean => [o['dst'], o['src'], o['gateway'], o['prefsrc']].some((v) => typeof v === 'string' && v.includes(':'));

/** `ip -j route show table all` without a family lists both; without -d it leaves out what is as usual. */
function byFamily(list: readonly Json[], line: number): readonly EvidenceRecord[] {
  const of = (topic: ListingTopic, routes: readonly Json[]): readonly EvidenceRecord[] =>
    routes.length === 0 ? [] : [{ kind: 'listing', line, topic, text: JSON.stringify(routes.map((r) => ({ type: 'unicast', table: 'main', ...r }))) }];
  return [...of('route', list.filter((o) => !isSix(o))), ...of('route6', list.filter(isSix))];
}
