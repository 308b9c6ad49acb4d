import { mono, type Mono, type Netns } from '../../base/brand.ts';
import { endpoint } from '../../base/inet.ts';
import type { EvidenceFile } from '../../formats/evidence-file.ts';
import { KERNEL_LOSSES } from '../../formats/dmesg.ts';
import { kernelOfOptions } from '../../formats/kernel-config.ts';
import type { LogSign } from '../../model/log-sign.ts';
import type { CallEvent, ConntrackEvent, DropEvent, Event } from '../../model/event.ts';
import type { HostFacts } from '../../model/evidence.ts';
import type { Symptom } from '../../model/symptom.ts';
import { hookOf } from '../rules/index.ts';
import { answersOf, conntrackChanges, counterChanges, rulesOf, type Span } from './answers.ts';
import { clocksOf, type Clocks } from './clocks.ts';
import { collect, type Collected } from './collected.ts';
import { conntrackEvents, execEvents, vanishedEntries } from './conntrack.ts';
import type { PostMortemFacts } from './facts.ts';
import { missingPieces } from './missing.ts';
import { placer } from './placing.ts';
import { citing, type Cite, type Origin } from './provenance.ts';
import { placeDrop, tracedCalls, tracedDrops, type TracedDrop } from './trace.ts';

export type { PostMortemFacts, Vanished, ConntrackChange, CounterChange } from './facts.ts';
export { livelyText } from './conntrack.ts';
export { originText, type Cite, type Origin } from './provenance.ts';
export { UNNAMED } from './collected.ts';

/** What happened, as far as texts tell it: events in order, answers, and facts of their own kind. */
export interface Reconstruction {
  readonly events: readonly Event[];
  /** What no event tells of: lines of logs, counters that moved without a drop event. */
  readonly symptoms: readonly Symptom[];
  readonly host: HostFacts;
  readonly realtimeOffset: bigint;
  readonly facts: PostMortemFacts;
  readonly span: Span;
  /** Which line of which file told of an event. */
  readonly origins: ReadonlyMap<Event, Origin>;
  readonly cite: Cite;
}

const SENDING = /^(?:send|write|transmit|connect|ping)/;
/** A log's line on a failed call stands for one that the trace saw within this time. */
const SAID_LATER = 2_000_000_000n;
/** … and for one whose packet it saw within this time. */
const SAME_SEND = 50_000_000n;

export function reconstruct(files: readonly EvidenceFile[]): Reconstruction {
  const collected = collect(files);
  const clocks = clocksOf(collected);
  const kernel = kernelIn(collected);
  const notes: string[] = [];
  // rules and counters that name no namespace are of one more than those that are named
  const plain = collected.of('rules').some((r) => r.netns === undefined) || collected.of('counters').some((c) => c.netns === undefined);
  const all = [...collected.names.keys(), ...(plain && collected.names.size > 0 && !collected.names.has(collected.home) ? [collected.home] : [])];
  const homes = new Map<number, Netns>();
  for (const { record, netns } of collected.of('socket')) if (netns !== undefined) homes.set(record.pid, netns);
  const changes = conntrackEvents(collected, clocks);
  const deleted = changes.filter((e) => e.change === 'destroy' && e.requester !== 0).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));

  const conntrack = conntrackChanges(collected, kernel.release);
  const counters = counterChanges(collected);
  const place = placer(conntrack, counters, deleted, collected.names);
  const traced = tracedDrops(collected, clocks);
  const origins = new Map<Event, Origin>();
  const drops = traced.map(({ event, file, line }): DropEvent => {
    const hook = hookOf({ kind: 'drop', netns: event.netns, first: event.time, drop: event })?.hook;
    const placed = placeDrop(event, collected.home, all, homes, () => (hook === 'postrouting' || hook === 'output' ? place('sent', event.time) : hook === 'input' ? place('received', event.time) : undefined));
    const name = collected.names.get(placed.netns);
    if (placed.how !== undefined) notes.push(`The trace does not say in which network namespace the packet of ${seconds(event.time)} s was dropped: taken for ${name ?? 'the only one'}, as ${placed.how}.`);
    const drop = { ...event, netns: placed.netns };
    origins.set(drop, { file, line });
    return drop;
  });
  notes.push(...contradictions(collected), ...remarks(collected));

  const calls: CallEvent[] = tracedCalls(collected, clocks).map(({ call: c, file, line }) => withOrigin(origins, { file, line }, { ...c, netns: homes.get(c.task.pid) ?? droppedIn(drops, c) ?? all.find((n) => all.length === 1 && n) ?? collected.home }));
  const symptoms: Symptom[] = [];
  const perFile = new Map<string, number>();
  for (const { file } of collected.of('log')) perFile.set(file, (perFile.get(file) ?? 0) + 1);
  // the log itself before excerpts of it
  const log = collected.of('log').toSorted((a, b) => (a.file === b.file ? 0 : (perFile.get(b.file) ?? 0) - (perFile.get(a.file) ?? 0)));
  const marks: { time: Mono; netns: Netns; source: string; text: string }[] = [];
  traced.forEach(({ clash }, i) => {
    const drop = drops[i];
    if (clash === undefined || drop === undefined) return;
    marks.push({ time: mono(clash.time), netns: drop.netns, source: clash.file, text: `nf_ct_resolve_clash: the entry in the table has this packet's tuple as its ${clash.found === 'reply' ? 'reply, so the same connection was made the other way round' : 'original'}${clash.verdict === undefined ? '' : clash.verdict === 0 ? '; not resolved (verdict 0, NF_DROP)' : `; resolved (verdict ${clash.verdict})`}` });
  });
  const failedSends: { file: string; line: number; text: string; netns?: Netns }[] = [];
  const told = new Set<string>();
  for (const { record, file, netns } of log) {
    const { sign, stamp } = record;
    if (sign === undefined) continue;
    const at = stamp === undefined ? undefined : clocks.mono(stamp);
    const once = `${record.text}|${stamp === undefined || stamp.step >= 1_000_000_000n ? `${file}:${record.line}` : ''}`; // the same line, taken out by grep
    if (told.has(once)) continue;
    told.add(once);
    if (sign.kind === 'call-failed' && sign.errno !== undefined && SENDING.test(sign.action ?? '')) {
      const seen = at === undefined ? undefined : calls.find((c) => c.errno === sign.errno && c.fd === undefined && c.task.pid !== 0 && at >= c.time - 1_000_000n && at - c.time < SAID_LATER);
      const where = netns ?? seen?.netns ?? (all.length === 1 ? all[0] : sign.errno === 'EPERM' ? place('sent', at)?.netns : undefined);
      failedSends.push({ file, line: record.line, text: record.text, ...(where === undefined ? {} : { netns: where }) });
      if (at !== undefined && seen !== undefined) marks.push({ time: at, netns: where ?? collected.home, source: file, text: record.text });
      if (seen !== undefined) continue;
      // the refused packet itself, where the trace has it and one clock tells
      const drop = at === undefined || clocks.joined === 'assumed' || sign.errno !== 'EPERM' ? undefined : drops.findLast((d) => !d.softirq && d.time <= at && at - d.time < SAME_SEND && (where === undefined || d.netns === where));
      if (drop !== undefined && at !== undefined) marks.push({ time: at, netns: drop.netns, source: file, text: record.text });
      calls.push(withOrigin(origins, { file, line: record.line }, { kind: 'call', time: at ?? mono(0n), cpu: 0, netns: drop?.netns ?? where ?? collected.home, task: drop !== undefined ? drop.task : { pid: sign.pid ?? 0, tid: sign.pid ?? 0, comm: sign.program ?? 'a program' }, syscall: sign.action ?? 'send', errno: sign.errno, args: [] }));
    } else if (sign.kind === 'peer-rejected' || sign.kind === 'key-mismatch') {
      symptoms.push({ kind: 'log', netns: netns ?? arrivedIn(sign, changes) ?? collected.home, first: at ?? mono(0n), pid: sign.pid ?? 0, file, line: record.text });
    }
  }
  for (const { record, file } of collected.of('kernel-log')) {
    if (!KERNEL_LOSSES.some((k) => k.words.test(record.text))) continue;
    symptoms.push({ kind: 'log', netns: collected.home, first: record.stamp !== undefined ? clocks.mono(record.stamp) : mono(BigInt(Math.round((record.seconds ?? 0) * 1e6)) * 1000n), pid: 0, file, line: record.text });
  }

  const execs = execEvents(collected, clocks);
  const happened: Event[] = [...drops, ...calls, ...changes, ...execs];
  const span = spanOf(happened, symptoms, collected, clocks);
  const confirm = { postrouting: 0, input: 0 };
  for (const drop of drops) {
    const hook = hookOf({ kind: 'drop', netns: drop.netns, first: drop.time, drop });
    if (hook?.by === 'slow' && hook.hook === 'postrouting') confirm.postrouting += 1;
    if (hook?.by === 'slow' && hook.hook === 'input') confirm.input += 1;
  }
  for (const change of conntrack) {
    if (change.lost + change.losses.dropOnly === 0 || drops.some((d) => d.netns === change.netns) || calls.some((c) => c.netns === change.netns && c.errno === 'EPERM')) continue;
    symptoms.push({ kind: 'counter', netns: change.netns, first: span.to, counter: 'nf_conntrack', before: 0, after: Math.max(change.lost, change.losses.dropOnly) });
  }
  const filters = collected.of('drop-filter').filter((f) => !f.record.kept);
  const facts: PostMortemFacts = {
    kernel, clocks: clockText(clocks), joined: clocks.joined !== 'assumed',
    vanished: vanishedEntries(collected, clocks),
    overruns: collected.of('conntrack-overrun').map((o) => ({ file: o.file, text: o.record.text })),
    filtered: filters.flatMap((f) => f.record.addresses), ...(filters[0] === undefined ? {} : { filterFile: filters[0].file }),
    conntrack, counters, rules: rulesOf(collected), failedSends,
    confirmDrops: confirm, clashes: traced.filter((t: TracedDrop) => t.clash?.verdict === 0).length, deletedByRequest: deleted.length,
    marks, notes, missing: [],
  };
    const events = [...happened, ...answersOf(collected, clocks, span), ...overrunEvents(facts, span), ...traceLosses(collected, span)].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return {
    events, symptoms, span, realtimeOffset: clocks.offset, origins, cite: citing(collected),
    facts: { ...facts, missing: missingPieces(facts, collected, drops, kernel.because !== 'nothing says') },
    host: { kernel: kernel.release, hostname: 'the recorded host', cpus: 0, home: collected.home, netnsNames: collected.names },
  };
}

function withOrigin<E extends Event>(origins: Map<Event, Origin>, origin: Origin, event: E): E {
  origins.set(event, origin);
  return event;
}

/** The namespace of the packet whose drop made a traced call fail. */
function droppedIn(drops: readonly DropEvent[], call: { readonly task: { readonly tid: number }; readonly time: bigint }): Netns | undefined {
  return drops.findLast((d) => !d.softirq && d.task.tid === call.task.tid && d.time <= call.time && call.time - d.time < SAME_SEND)?.netns;
}

/** The namespace in which a packet from the first address of a log line was tracked with that very source: where it arrived. */
function arrivedIn(sign: LogSign, changes: readonly ConntrackEvent[]): Netns | undefined {
  const from = sign.addresses[0];
  return from === undefined ? undefined : changes.find((e) => endpoint(e.entry.original.source, e.entry.original.sourcePort) === from)?.netns;
}

const seconds = (t: bigint): string => (Number(t / 1000n) / 1e6).toFixed(3);

function overrunEvents(facts: PostMortemFacts, span: Span): Event[] {
  return facts.overruns.slice(0, 1).map((o) => ({ kind: 'missed', time: span.from, source: 'conntrack-events', count: 1, text: `conntrack -E could not read as fast as the kernel told (${o.file}): what it shows is not all` }));
}

function traceLosses(collected: Collected, span: Span): Event[] {
  const lossy = collected.of('trace-loss').filter((l) => l.record.lost > 0);
  const lost = lossy.reduce((sum, l) => sum + l.record.lost, 0);
  return lost === 0 ? [] : [{ kind: 'missed', time: span.from, source: 'trace', count: lost, text: `events that the trace buffer overwrote or could not take (${lossy[0]!.file}): a drop that is not in the trace may have happened all the same` }];
}

function kernelIn(collected: Collected): PostMortemFacts['kernel'] {
  const named = collected.of('kernel');
  const votes = (release: string): number => named.filter((n) => n.record.release === release).length;
  const best = named.toSorted((a, b) => votes(b.record.release) - votes(a.record.release) || Number(a.file.endsWith('.md')) - Number(b.file.endsWith('.md')))[0];
  if (best !== undefined) return { release: best.record.release, because: best.file };
  for (const { record, file } of collected.of('kernel-options')) {
    const found = kernelOfOptions(record.options);
    if (found !== undefined) return { release: found.release, because: `${file}: ${found.because}` };
  }
  // the columns of the counters changed with the kernel
  const header = collected.of('counters').find((c) => c.record.file === 'stat/nf_conntrack');
  const columns = header?.record.text.slice(0, header.record.text.indexOf('\n')) ?? '';
  if (header !== undefined && /\bsearched\b/.test(columns)) return /\bsearch_restart\b/.test(columns) ? { release: '2.6.35 to 5.9', because: `${header.file}: the columns of its conntrack counters` } : { release: '2.6.3x', because: `${header.file}: its conntrack counters have no column search_restart` };
  return { release: 'unknown', because: 'nothing says' };
}

/** The events' span, or for pieces without times something to put answers around. */
function spanOf(events: readonly Event[], symptoms: readonly Symptom[], collected: Collected, clocks: Clocks): Span {
  const times = [...events.map((e) => e.time), ...symptoms.map((s) => s.first), ...collected.of('counters').flatMap((c) => (c.record.stamp === undefined ? [] : [clocks.mono(c.record.stamp)]))];
  let from = times[0] ?? mono(10_000_000_000n), to = from;
  for (const t of times) {
    if (t < from) from = t;
    if (t > to) to = t;
  }
  return { from, to };
}

function clockText(clocks: Clocks): string {
  const zone = clocks.zone === 0n ? '' : ` Stamps without a time zone were taken for UTC${clocks.zone < 0n ? '+' : '-'}${Math.abs(Number(clocks.zone / 900_000_000_000n) / 4)}, as the other dates are.`;
  switch (clocks.joined) {
    case 'clocks': return `Times of traces are joined with those of logs by ${clocks.file ?? 'the clocks'}: wall clock = monotonic clock + ${(Number(clocks.offset / 1000n) / 1e6).toFixed(4)} s.${zone}`;
    case 'assumed': return `Nothing joins the clock of the trace with the dates of the logs: the order within one file is certain, between files it is not. Dates of traced events below are only placed so that the last one falls on the last date.${zone}`;
    case 'wall': return `All times are dates of the wall clock.${zone}`;
    case 'day': return 'The files tell times of a day only, neither which day nor the zone: the dates below are no dates.';
    case 'order': return 'No file tells when something happened: events keep the order of their lines, and the dates below are no dates.';
    case 'mono': return 'All times are seconds since boot; the dates below count from 1970.';
  }
}

/** What tools told that is no loss of its own; the same sentence once, with how often. */
function remarks(collected: Collected): string[] {
  const times = new Map<string, { readonly file: string; readonly line: number; count: number }>();
  for (const { record, file } of collected.of('remark')) {
    const known = times.get(record.text);
    if (known === undefined) times.set(record.text, { file, line: record.line, count: 1 });
    else known.count += 1;
  }
  return [...times].slice(0, 5).map(([text, { file, line, count }]) => `${text} (${file}, line ${line}${count === 1 ? '' : `, and ${count - 1} times more`})`);
}

/** One event that two traces place differently. */
function contradictions(collected: Collected): string[] {
  const notes: string[] = [];
  const drops = collected.of('trace').filter((t) => t.record.event === 'kfree_skb' && t.record.keeps === undefined);
  for (let i = 0; i < Math.min(drops.length, 500); i++) {
    const a = drops[i]!;
    const b = drops.slice(i + 1, i + 500).find((d) => d.file !== a.file && d.record.time === a.record.time && d.record.cpu === a.record.cpu);
    const [x, y] = [a.record.fields.get('location'), b?.record.fields.get('location')];
    if (b === undefined || x === undefined || y === undefined || x === y || x.startsWith('00000000') || y.startsWith('00000000')) continue;
    notes.push(`${a.file} and ${b.file} tell of one event (${seconds(a.record.time)} s) with different places, ${x} and ${y}: the one with the stack is used.`);
  }
  return notes.slice(0, 5);
}
