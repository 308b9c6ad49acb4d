import type { Mono, Netns } from '../../base/brand.ts';
import { decodeConntrackStats } from '../../formats/conntrack-message.ts';
import { decodeNetDev } from '../../formats/net-dev.ts';
import { decodeConntrackStat, totalOf } from '../../formats/nf-conntrack-stat.ts';
import { decodeSnmp } from '../../formats/snmp.ts';
import { decodeSnmp6 } from '../../formats/snmp6.ts';
import { decodeSoftnetStat } from '../../formats/softnet-stat.ts';
import type { CpuRow } from '../../model/conntrack.ts';
import type { Answer, Evidence } from '../../model/evidence.ts';
import type { Question } from '../../model/question.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';

/** The counter files of a namespace. softnet_stat is the whole host's, wherever it is read. */
export type CounterFile = 'snmp' | 'netstat' | 'snmp6' | 'xfrm_stat' | 'softnet_stat' | 'dev' | 'stat/nf_conntrack';

export interface Delta {
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

/** What moved between two readings. */
export interface Deltas {
  readonly file: CounterFile;
  readonly from: Mono;
  readonly to: Mono;
  /** Counters that moved, by name; for files with a row for each CPU, summed. */
  readonly moved: ReadonlyMap<string, Delta>;
  /** Only for softnet_stat and stat/nf_conntrack: what moved on each CPU. */
  readonly cpus: readonly { readonly cpu: number; readonly moved: ReadonlyMap<string, Delta> }[];
}

interface Reading {
  readonly time: Mono;
  readonly values: ReadonlyMap<string, number>;
  readonly cpus: readonly CpuRow[];
}

/** Before the symptom (or the oldest reading there is) against now. */
export function counterDeltas(evidence: Evidence, netns: Netns, file: CounterFile): Maybe<Deltas> {
  const after = reading(evidence, netns, file, 'after');
  const before = reading(evidence, netns, file, 'before');
  if (isUnavailable(after)) return after;
  if (isUnavailable(before)) return before;
  return {
    file,
    from: before.time,
    to: after.time,
    moved: compare(before.values, after.values),
    cpus: after.cpus.flatMap((row) => {
      const old = before.cpus.find((c) => c.cpu === row.cpu);
      const moved = old === undefined ? new Map<string, Delta>() : compare(old.values, row.values);
      return moved.size === 0 ? [] : [{ cpu: row.cpu, moved }];
    }),
  };
}

/** All counters of a file as they are now. */
export function countersNow(evidence: Evidence, netns: Netns, file: CounterFile): Maybe<ReadonlyMap<string, number>> {
  const now = reading(evidence, netns, file, 'after');
  return isUnavailable(now) ? now : now.values;
}

function reading(evidence: Evidence, netns: Netns, file: CounterFile, which: 'before' | 'after'): Maybe<Reading> {
  const put = (question: Question): Maybe<Answer> => (which === 'after' ? evidence.answer(question) : evidence.before(question));
  const told = put(ask('proc', netns, `net/${file}`));
  // a kernel without CONFIG_NF_CONNTRACK_PROCFS tells the same over netlink
  const other = file === 'stat/nf_conntrack' && isUnavailable(told) && told.unavailable !== 'pending' ? put(ask('conntrack-stats', netns)) : told;
  const answer = isUnavailable(other) && other.unavailable !== 'pending' ? told : other;
  if (isUnavailable(answer)) return answer;
  // one reading of each kind is kept, not one for every time it was read
  const key = `counters\u0000${file}\u0000${netns}\u0000${which}`;
  const known = evidence.memo.get(key) as Reading | undefined;
  if (known?.time === answer.time) return known;
  const result = { time: answer.time, ...(answer === told ? decode(file, typeof answer.body === 'string' ? answer.body : new TextDecoder().decode(answer.body)) : overNetlink(answer.body)) };
  evidence.memo.set(key, result);
  return result;
}

function overNetlink(body: string | Uint8Array): Omit<Reading, 'time'> {
  const stats = typeof body === 'string' ? [] : decodeConntrackStats(body).cpus;
  const cpus = stats.map(({ cpu, counters }): CpuRow => ({ cpu, values: new Map([...counters].map(([name, n]) => [name === 'chain_toolong' ? 'chaintoolong' : name, n])) }));
  return { values: totalOf(cpus), cpus };
}

function decode(file: CounterFile, text: string): Omit<Reading, 'time'> {
  switch (file) {
    case 'snmp': case 'netstat': return { values: decodeSnmp(text).values, cpus: [] };
    case 'snmp6': case 'xfrm_stat': return { values: decodeSnmp6(text).values, cpus: [] };
    case 'dev': return { values: decodeNetDev(text).values, cpus: [] };
    case 'softnet_stat': case 'stat/nf_conntrack': {
      const { cpus } = file === 'softnet_stat' ? decodeSoftnetStat(text) : decodeConntrackStat(text);
      return { values: totalOf(cpus), cpus };
    }
  }
}

function compare(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): ReadonlyMap<string, Delta> {
  const moved = new Map<string, Delta>();
  for (const [name, value] of after) {
    const old = before.get(name);
    if (old !== undefined && old !== value) moved.set(name, { name, before: old, after: value });
  }
  return moved;
}

/** How far a counter moved; 0 when it did not. */
export function movedBy(deltas: Deltas, name: string): number {
  const delta = deltas.moved.get(name);
  return delta === undefined ? 0 : delta.after - delta.before;
}

/** `insert_failed +3, drop +3` */
export function deltaText(deltas: Deltas, names: readonly string[]): string {
  return names.map((name) => `${name} ${movedBy(deltas, name) >= 0 ? '+' : ''}${movedBy(deltas, name)}`).join(', ');
}
