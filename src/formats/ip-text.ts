import type { EvidenceRecord, ListingTopic, Reading } from './evidence-record.ts';
import type { Json } from './json-fields.ts';

/**
 * `ip route show table all`, `ip rule` and `ip address` as text, made the lists that `ip -j` prints, so that one decoder reads
 * both. Parts of a listing (one table, one device) would make "no route" of what was not asked for: they are left to be said.
 */
export function readIpText(lines: readonly string[]): Reading {
  const taken: number[] = [];
  const routes: Entry[] = [], rules: Entry[] = [], links: Entry[] = [];
  lines.forEach((text, i) => {
    if (text === '' || text.length > LONGEST) return;
    const header = LINK.exec(text);
    if (header !== null) links.push({ line: i, object: linkOf(header), at: [i] });
    else if (/^\s/.test(text)) continued(text, i, links.at(-1), routes.at(-1));
    else {
      const rule = RULE.exec(text);
      const route = rule === null ? routeOf(text) : undefined;
      if (rule !== null) rules.push({ line: i, object: ruleOf(rule), at: [i] });
      else if (route !== undefined) routes.push({ line: i, object: route, at: [i] });
    }
  });
  const records: EvidenceRecord[] = [];
  const add = (topic: ListingTopic, list: readonly Entry[]): void => {
    const first = list[0];
    if (first === undefined) return;
    records.push({ kind: 'listing', line: first.line + 1, topic, text: JSON.stringify(list.map((e) => e.object)), fromText: true });
    for (const e of list) taken.push(...e.at);
  };
  const six = (e: Entry): boolean => [e.object['dst'], e.object['gateway'], e.object['prefsrc']].some((v) => typeof v === 'string' && v.includes(':'));
  if (routes.some((e) => isWhole(e.object))) {
    add('route', routes.filter((e) => !six(e)));
    add('route6', routes.filter(six));
  }
  if (rules.some((e) => e.object['priority'] === 0)) add('rule', rules);
  if (links.some((e) => isLoopback(e.object)) && links.some((e) => (e.object['addr_info'] as unknown[]).length > 0)) add('address', links);
  return { records, taken };
}

/** Of all tables: there is no host without local routes. */
export const isWhole = (route: Json): boolean => route['type'] === 'local' || route['table'] === 'local';
export const isLoopback = (link: Json): boolean => Array.isArray(link['flags']) && link['flags'].includes('LOOPBACK');

interface Entry {
  readonly line: number;
  readonly object: Record<string, unknown>;
  readonly at: number[];
}

const LONGEST = 2048;
const ADDRESS = /^(?:default|[\da-f.:]{2,45}(?:\/\d{1,3})?)$/;
const TYPES = new Set(['unicast', 'local', 'broadcast', 'multicast', 'anycast', 'throw', 'unreachable', 'prohibit', 'blackhole', 'nat']);
const LINK = /^(\d{1,9}): ([^\s:@]{1,64})(?:@([^\s:]{1,64}))?: <([A-Z,_\d-]*)> (mtu \d.*)$/;
const RULE = /^(\d{1,10}):\s+(not )?from (\S+) (.*)$/;

/** Words in pairs: `dev eth0 metric 5`. */
function pairs(words: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i++) if (!found.has(words[i]!)) found.set(words[i]!, words[i + 1]!);
  return found;
}

function routeOf(text: string): Record<string, unknown> | undefined {
  const words = text.trim().split(/\s+/);
  const type = TYPES.has(words[0]!) ? words.shift() : undefined;
  const dst = words.shift();
  if (dst === undefined || !ADDRESS.test(dst) || (type === undefined && !/^(?:via|dev|proto|table|nhid)$/.test(words[0] ?? ''))) return undefined;
  if (type !== undefined && words.length > 0 && !/^(?:via|dev|proto|table|scope|metric|nhid)$/.test(words[0]!)) return undefined;
  const p = pairs(words);
  if (/^(?:lladdr|[A-Z]+)$/.test(words[2] ?? '')) return undefined; // ip neigh
  const metric = p.get('metric'), mtu = p.get('mtu');
  return {
    type: type ?? 'unicast', dst, table: p.get('table') ?? 'main', flags: words.filter((w) => /^(?:onlink|linkdown|dead|pervasive|offload)$/.test(w)),
    ...hop(words), ...(p.has('proto') ? { protocol: p.get('proto') } : {}), ...(p.has('scope') ? { scope: p.get('scope') } : {}), ...(p.has('src') ? { prefsrc: p.get('src') } : {}),
    ...(metric === undefined ? {} : { metric: Number(metric) }), ...(mtu === undefined ? {} : { metrics: [{ mtu: Number(mtu) }] }),
  };
}

function hop(words: readonly string[]): Record<string, unknown> {
  const p = pairs(words);
  const via = p.get('via');
  const gateway = via === 'inet6' || via === 'inet' ? p.get(via) : via;
  return { ...(gateway === undefined ? {} : { gateway }), ...(p.has('dev') ? { dev: p.get('dev') } : {}) };
}

function ruleOf([, priority, not, source, rest]: RegExpExecArray): Record<string, unknown> {
  const words = rest!.split(/\s+/);
  const p = pairs(words);
  const [fwmark, fwmask] = (p.get('fwmark') ?? '').split('/');
  const refusal = words.find((w) => /^(?:blackhole|unreachable|prohibit|nop)$/.test(w));
  const goto = p.get('goto'), suppress = p.get('suppress_prefixlength');
  return {
    priority: Number(priority), src: source, ...(not === undefined ? {} : { not: null }), ...(p.has('to') ? { dst: p.get('to') } : {}), ...(p.has('iif') ? { iif: p.get('iif') } : {}), ...(p.has('oif') ? { oif: p.get('oif') } : {}),
    ...(fwmark === undefined || fwmark === '' ? {} : { fwmark }), ...(fwmask === undefined ? {} : { fwmask }), ...(p.has('tos') ? { tos: p.get('tos') } : {}), ...(p.has('ipproto') ? { ipproto: p.get('ipproto') } : {}),
    ...(p.has('sport') ? { sport: p.get('sport') } : {}), ...(p.has('dport') ? { dport: p.get('dport') } : {}), ...(p.has('uidrange') ? { uid: p.get('uidrange') } : {}),
    ...(p.has('lookup') ? { table: p.get('lookup') } : {}), ...(refusal === undefined ? {} : { action: refusal }), ...(goto === undefined ? {} : { goto: Number(goto) }), ...(suppress === undefined ? {} : { suppress_prefixlen: Number(suppress) }),
  };
}

function linkOf([, index, name, other, flags, rest]: RegExpExecArray): Record<string, unknown> {
  const p = pairs(rest!.split(/\s+/));
  const peer = /^if(\d{1,9})$/.exec(other ?? '');
  return {
    ifindex: Number(index), ifname: name, flags: flags!.split(',').filter((f) => f !== ''), mtu: Number(p.get('mtu') ?? 0), operstate: p.get('state') ?? 'UNKNOWN', addr_info: [],
    ...(p.has('qdisc') ? { qdisc: p.get('qdisc') } : {}), ...(p.has('master') ? { master: p.get('master') } : {}), ...(p.has('qlen') ? { txqlen: Number(p.get('qlen')) } : {}),
    ...(peer !== null ? { link_index: Number(peer[1]) } : other === undefined ? {} : { link: other }),
  };
}

/** Indented lines: of the link before, or a next hop of the route before. */
function continued(text: string, line: number, link: Entry | undefined, route: Entry | undefined): void {
  const words = text.trim().split(/\s+/);
  if (words[0] === 'nexthop' && route !== undefined) {
    route.object['nexthops'] = [...((route.object['nexthops'] as unknown[] | undefined) ?? []), { ...hop(words), flags: [] }];
    route.at.push(line);
    return;
  }
  if (link === undefined) return;
  const mac = /^link\/(\w+)$/.exec(words[0]!);
  if (mac !== null) {
    link.object['link_type'] = mac[1];
    if (words[1] !== undefined) link.object['address'] = words[1];
  } else if (words[0] === 'inet' || words[0] === 'inet6') {
    const p = pairs(words);
    const [local, own] = (words[1] ?? '').split('/');
    const [peer, length] = (p.get('peer') ?? '').split('/');
    const flags = words.filter((w) => /^(?:tentative|dadfailed|deprecated|temporary|dynamic|secondary|noprefixroute)$/.test(w));
    const prefix = own ?? length;
    (link.object['addr_info'] as unknown[]).push({ family: words[0], local, ...(prefix === undefined ? {} : { prefixlen: Number(prefix) }), ...(peer === undefined || peer === '' ? {} : { address: peer }), scope: p.get('scope') ?? 'global', ...Object.fromEntries(flags.map((f) => [f, true])) });
  } else if (/^(?:veth|bridge|vlan|vxlan|bond|macvlan|ipvlan|gre|ipip|wireguard|dummy|tun)$/.test(words[0]!)) link.object['linkinfo'] ??= { info_kind: words[0] };
  else if (!/^(?:valid_lft|altname|alias|promiscuity|bridge_slave|bond_slave)$/.test(words[0]!)) return;
  link.at.push(line);
}
