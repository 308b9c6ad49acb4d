import type { Netns } from '../../base/brand.ts';
import { decodeConntrackTable, type ConntrackTable } from '../../formats/conntrack-message.ts';
import { IPS } from '../../model/conntrack.ts';
import type { ConntrackEntry, Tuple } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';
import { lastSysctl, sysctlNumber } from '../network/sysctl.ts';
import { sameExchange } from './tuple.ts';

/** A table that was read so lately is new enough: entries live for seconds at least, and a long one takes time to read. */
const RECENT_NS = 2_000_000_000n;

/**
 * The connection table, at most two seconds old. Large tables are read in part; then `status` says so. Only the newest
 * decoded table of a namespace is kept: one of 80,000 entries takes some 50 MB.
 */
export function conntrackTable(evidence: Evidence, netns: Netns): Maybe<ConntrackTable> {
  const question = ask('conntrack-table', netns);
  const last = evidence.lastAnswer(question);
  if (isUnavailable(last) && last.unavailable === 'pending') return last;
  const answer = !isUnavailable(last) && evidence.now - last.time < RECENT_NS ? last : evidence.answer(question);
  if (isUnavailable(answer)) return answer;
  if (typeof answer.body === 'string') return { unavailable: 'malformed', what: 'listing conntrack entries', why: 'text instead of netlink messages' };
  const key = `conntrack-table decoded\u0000${netns}`;
  const known = evidence.memo.get(key) as { readonly time: bigint; readonly table: ConntrackTable } | undefined;
  if (known?.time === answer.time) return known.table;
  const table = decodeConntrackTable(answer.body);
  evidence.memo.set(key, { time: answer.time, table }, answer.body.length);
  return table;
}

/** Entries of which the tuple is either half. */
export function entriesOf(table: ConntrackTable, tuple: Tuple): readonly ConntrackEntry[] {
  return table.entries.filter((e) => sameExchange(e.original, tuple) || sameExchange(e.reply, tuple));
}

export interface Holder {
  readonly address: string;
  readonly count: number;
}

export interface Occupancy {
  readonly count: number;
  readonly limit: number;
  /** Addresses that began most connections, and those that most go to; from the listing. */
  readonly sources: readonly Holder[];
  readonly destinations: readonly Holder[];
  /** Entries in the listing, which is a part of the table when that is long. */
  readonly listed: number;
  /** Of those listed: how many never saw an answer. */
  readonly unreplied: number;
}

/** How full the table of a namespace is and who fills it. The limit is one number for the host, compared with each namespace's own count. */
export function occupancy(evidence: Evidence, netns: Netns): Maybe<Occupancy> {
  const table = conntrackTable(evidence, netns);
  const limit = sysctlNumber(evidence, netns, 'net/netfilter/nf_conntrack_max');
  const count = sysctlNumber(evidence, netns, 'net/netfilter/nf_conntrack_count');
  if (isUnavailable(limit)) return limit;
  if (isUnavailable(count)) return count;
  const entries = isUnavailable(table) ? [] : table.entries;
  return {
    count, limit, listed: entries.length,
    sources: holders(entries.map((e) => e.original.source)),
    destinations: holders(entries.map((e) => e.original.destination)),
    unreplied: entries.filter((e) => (e.status & IPS.SEEN_REPLY) === 0).length,
  };
}

export function sysctlOf(evidence: Evidence, netns: Netns, name: string): number | undefined {
  return lastSysctl(evidence, netns, `net/netfilter/${name}`);
}

function holders(addresses: readonly string[]): readonly Holder[] {
  const counts = new Map<string, number>();
  for (const address of addresses) counts.set(address, (counts.get(address) ?? 0) + 1);
  return [...counts].map(([address, count]) => ({ address, count })).sort((a, b) => b.count - a.count || (a.address < b.address ? -1 : 1)).slice(0, 5);
}

/** Source ports at an address that are taken for one peer: what port translation has to choose from is what is left. */
export function takenPorts(entries: readonly ConntrackEntry[], protocol: number, address: string, peer: { readonly address: string; readonly port?: number } | undefined): ReadonlySet<number> {
  const taken = new Set<number>();
  const icmp = protocol === 1 || protocol === 58;
  for (const { reply } of entries) {
    if (reply.protocol !== protocol || reply.destination !== address) continue;
    if (peer !== undefined && (reply.source !== peer.address || (!icmp && peer.port !== undefined && reply.sourcePort !== peer.port))) continue;
    const port = icmp ? reply.sourcePort : reply.destinationPort;
    if (port !== undefined) taken.add(port);
  }
  return taken;
}
