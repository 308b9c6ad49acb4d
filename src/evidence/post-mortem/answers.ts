import { mono, type Mono, type Netns } from '../../base/brand.ts';
import { decodeConntrackStat, totalOf } from '../../formats/nf-conntrack-stat.ts';
import { countersIn, statOfConntrackS } from '../../formats/counter-text.ts';
import type { CounterName, EvidenceRecord, ListingTopic, RuleTool } from '../../formats/evidence-record.ts';
import { decodeNetDev } from '../../formats/net-dev.ts';
import { droppersIn } from '../../formats/rule-text.ts';
import { decodeSnmp } from '../../formats/snmp.ts';
import type { AnswerEvent } from '../../model/event.ts';
import type { Question } from '../../model/question.ts';
import { conntrackLosses, olderThan, type Deltas } from '../counters/index.ts';
import type { Clocks } from './clocks.ts';
import type { Collected, Item } from './collected.ts';
import type { ConntrackChange, CounterChange, PostMortemFacts } from './facts.ts';
import { nftJsonOf } from './nft-listing.ts';

type Snapshot = Item<Extract<EvidenceRecord, { kind: 'counters' }>>;
export interface Span {
  readonly from: Mono;
  readonly to: Mono;
}

/** Snapshots of one counter file of one namespace, oldest first: by their dates, else by what they count, which only grows. */
export function ordered(snapshots: readonly Snapshot[]): readonly Snapshot[] {
  if (snapshots.every((s) => s.record.stamp !== undefined)) return [...snapshots].sort((a, b) => (a.record.stamp!.ns < b.record.stamp!.ns ? -1 : 1));
  const weight = new Map(snapshots.map((s) => [s, [...valuesOf(s.record.file, s.record.text)].reduce((sum, [name, value]) => (name === 'entries' ? sum : sum + value), 0)]));
  const word = (s: Snapshot): number => (/before|vorher|avant/i.test(s.file) ? 0 : /after|nachher|apres/i.test(s.file) ? 2 : 1);
  return [...snapshots].sort((a, b) => word(a) - word(b) || weight.get(a)! - weight.get(b)!);
}

export function valuesOf(file: CounterName, text: string): ReadonlyMap<string, number> {
  switch (file) {
    case 'stat/nf_conntrack': return totalOf(decodeConntrackStat(text).cpus);
    case 'snmp': case 'netstat': return decodeSnmp(text).values;
    case 'dev': return decodeNetDev(text).values;
    default: return countersIn(file, text);
  }
}

function grouped(collected: Collected): ReadonlyMap<string, readonly Snapshot[]> {
  const groups = new Map<string, Snapshot[]>();
  for (const s of collected.of('counters')) {
    const key = `${s.netns ?? collected.home} ${s.record.file}`;
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  return new Map([...groups].map(([key, list]) => [key, ordered(list)]));
}

/** Counter snapshots and listings as answers: the first one from before the losses, the last one from behind them. */
export function answersOf(collected: Collected, clocks: Clocks, span: Span): readonly AnswerEvent[] {
  const answers: AnswerEvent[] = [];
  const add = (time: bigint, question: Question, body: AnswerEvent['body']): void => void answers.push({ kind: 'answer', time: mono(time), question, body });
  const groups = grouped(collected);
  for (const [key, list] of groups) {
    const netns = Number(key.split(' ')[0]) as Netns;
    const file = key.slice(key.indexOf(' ') + 1) as CounterName;
    const viaS = file === 'conntrack -S' && !groups.has(`${netns} stat/nf_conntrack`);
    if (!viaS && (file === 'conntrack -S' || file === 'ip -s link' || file === 'nstat')) continue;
    list.forEach((s, i) => {
      const own = s.record.stamp === undefined ? undefined : clocks.mono(s.record.stamp);
      const spread = i === 0 && list.length > 1 ? span.from - 1_000_000_000n : i === list.length - 1 ? span.to + 1_000_000_000n : span.from + ((span.to - span.from) * BigInt(i)) / BigInt(list.length);
      add(own ?? spread, { topic: 'proc', netns, argument: viaS ? 'net/stat/nf_conntrack' : `net/${file}` }, viaS ? statOfConntrackS(s.record.text) : s.record.text);
    });
  }
  const end = span.to + 1_000_000_000n;
  const inJson = new Set(collected.of('rules').flatMap((r) => (r.record.tool === 'nft -j' ? [r.netns ?? collected.home] : [])));
  for (const { record, netns = collected.home } of collected.of('rules')) {
    if (record.tool === 'nft' && inJson.has(netns)) continue; // the same for people
    if (record.tool === 'nft -j') add(end, { topic: 'nft', netns }, record.text);
    else if (record.tool === 'nft') add(end, { topic: 'nft', netns }, droppersIn('nft', record.text).length === 0 ? nftJsonOf(record.text) : { unavailable: 'malformed', what: 'reading the nft rules', why: 'they were collected as text, which is made for people', fix: 'collect nft -j list ruleset' });
    else if (record.tool === 'iptables-save') add(end, { topic: saveTopic(record.text), netns }, record.text);
  }
  const listings = collected.of('listing');
  const known = (topic: ListingTopic, netns: Netns, text: boolean): boolean => listings.some((l) => l.record.topic === topic && (l.netns ?? collected.home) === netns && (text || l.record.fromText !== true));
  for (const { record, netns = collected.home } of listings) {
    if (record.fromText === true && known(record.topic, netns, false)) continue; // the same for people
    add(end, { topic: record.topic, netns }, record.text);
    if (record.topic === 'address' && !known('link', netns, true)) add(end, { topic: 'link', netns }, record.text); // it holds the links, too
  }
  // one file each, and all interfaces at once: both are asked for
  const settings = new Map<string, { readonly netns: Netns; readonly argument: string; lines: string[] }>();
  for (const { record, netns } of collected.of('sysctl')) {
    const path = pathOf(record.name);
    const glob = path.replace(/^(net\/ipv[46]\/conf\/)[^/]+\//, '$1*/');
    for (const inode of netns === undefined ? new Set([collected.home, ...collected.names.keys()]) : [netns]) {
      add(end, { topic: 'sysctl', netns: inode, argument: path }, record.value);
      if (glob === path) continue;
      const group = settings.get(`${inode} ${glob}`);
      if (group === undefined) settings.set(`${inode} ${glob}`, { netns: inode, argument: glob, lines: [`${path} = ${record.value}`] });
      else group.lines.push(`${path} = ${record.value}`);
    }
  }
  for (const { netns, argument, lines } of settings.values()) add(end, { topic: 'sysctl', netns, argument }, `${lines.join('\n')}\n`);
  const log = collected.of('kernel-log').filter((l) => l.record.seconds !== undefined);
  if (log.length > 0) add(end, { topic: 'kernel-log' }, log.map((l) => `[${l.record.seconds!.toFixed(6)}] ${l.record.text}`).join('\n'));
  const named = new Map<number, { comm: string; cmdline: string }>();
  for (const { record } of collected.of('socket')) named.set(record.pid, { comm: record.comm, cmdline: '' });
  for (const { record } of collected.of('process')) named.set(record.pid, { comm: /^\[?(?:\S*\/)?([^\s/\]]{1,15})/.exec(record.command)?.[1] ?? '?', cmdline: record.command.startsWith('[') ? '' : record.command });
  for (const [pid, facts] of named) add(end, { topic: 'process', argument: String(pid) }, JSON.stringify({ pid, ...facts }));
  return answers;
}

/** sysctl(8) writes dots for slashes and slashes for dots: `net.ipv4.conf.eth0/100.rp_filter`. */
const pathOf = (name: string): string => (name.startsWith('net/') ? name : name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')));

/** Since 1.8 the tools of nf_tables say so in the first line of a save; without a first line it may be either. */
function saveTopic(save: string): 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy' {
  const first = /^# Generated by (ip6?tables)(?:-nft|-legacy)?-save v[\d.]+(.*)$/m.exec(save);
  const family = first?.[1] === 'ip6tables' ? 'ip6tables' : 'iptables';
  return first === null || /nf_tables/.test(first[0]) || /-nft-save/.test(first[0]) ? family : `${family}-legacy`;
}

/** What conntrack counted between the first and the last snapshot of each namespace. */
export function conntrackChanges(collected: Collected, kernel: string): readonly ConntrackChange[] {
  const changes: ConntrackChange[] = [];
  const groups = grouped(collected);
  for (const [key, list] of groups) {
    const netns = Number(key.split(' ')[0]) as Netns;
    const proc = key.endsWith(' stat/nf_conntrack');
    if (!proc && !(key.endsWith(' conntrack -S') && !groups.has(`${netns} stat/nf_conntrack`))) continue;
    const first = list[0], last = list.at(-1);
    if (first === undefined || last === undefined || first === last) continue;
    const text = (s: Snapshot): string => (proc ? s.record.text : statOfConntrackS(s.record.text));
    const a = decodeConntrackStat(text(first)).cpus, b = decodeConntrackStat(text(last)).cpus;
    const before = totalOf(a), after = totalOf(b);
    const moved = new Map([...after].flatMap(([name, value]) => (before.has(name) && before.get(name) !== value ? [[name, { name, before: before.get(name)!, after: value }] as const] : [])));
    const deltas: Deltas = { file: 'stat/nf_conntrack', from: mono(0n), to: mono(0n), moved, cpus: [] };
    const losses = conntrackLosses(deltas, kernel);
    const perCpu = b.flatMap((row, i) => {
      const failed = (row.values.get('insert_failed') ?? 0) - (a[i]?.values.get('insert_failed') ?? 0);
      return failed > 0 ? [{ cpu: row.cpu, failed }] : [];
    });
    const failed = perCpu.reduce((sum, c) => sum + c.failed, 0);
    changes.push({ netns, losses, perCpu, lost: losses.clash > 0 ? losses.clash : olderThan(kernel, 4, 7) ? failed : 0, files: [...new Set([first.file, last.file])] });
  }
  return changes;
}

/** Counters that say something was lost; what merely counts traffic is left out. */
const LOSS = /drop|discard|fail|err|overflow|reject|missed|prune|clash|invalid|chaintoolong|noport|squeeze/i;

export function counterChanges(collected: Collected): readonly CounterChange[] {
  const changes: CounterChange[] = [];
  for (const [key, list] of grouped(collected)) {
    const first = list[0], last = list.at(-1);
    const file = key.slice(key.indexOf(' ') + 1) as CounterName;
    if (first === undefined || last === undefined || first === last) continue;
    const before = valuesOf(file, first.record.text), after = valuesOf(file, last.record.text);
    const moved = [...after].flatMap(([name, value]) => {
      const old = before.get(name);
      const telling = LOSS.test(name) || /^Ip In(?:Receives|Delivers)$/.test(name);
      return old !== undefined && old !== value && telling ? [{ name, before: old, after: value }] : [];
    });
    if (moved.length > 0) changes.push({ netns: Number(key.split(' ')[0]) as Netns, file: last.file, counters: file, moved });
  }
  return changes;
}

function engineOf(tool: RuleTool, text: string): { readonly engine?: 'nft' | 'legacy' } {
  if (tool === 'nft' || tool === 'nft -j') return { engine: 'nft' };
  if (tool === 'iptables -L' || !/^# Generated by/m.test(text)) return {};
  return { engine: saveTopic(text).endsWith('-legacy') ? 'legacy' : 'nft' };
}

/** What in each rule listing could drop, and how far its counter moved to the last listing of the same namespace. */
export function rulesOf(collected: Collected): PostMortemFacts['rules'] {
  const first = new Map<string, number>();
  return collected.of('rules').map(({ record, file, netns }) => ({
    file, line: record.line, tool: record.tool, ...(netns === undefined ? {} : { netns }), ...engineOf(record.tool, record.text),
    droppers: droppersIn(record.tool, record.text).map((d) => {
      const key = `${netns ?? collected.home} ${record.tool} ${d.text.replace(/\bpackets \d+ bytes \d+/g, '')}`;
      const before = first.get(key);
      if (before === undefined && d.packets !== undefined) first.set(key, d.packets);
      return before === undefined || d.packets === undefined ? d : { ...d, moved: d.packets - before };
    }),
  }));
}
